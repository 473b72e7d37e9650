"""The engine under another frontend: start, progress, cancel, a question answered as data, a stable error id."""

from __future__ import annotations

import importlib.util
import json
import os
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from holdstill import Engine

_spec = importlib.util.spec_from_file_location("http_frontend", Path(__file__).with_name("http_frontend.py"))
http_frontend = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(http_frontend)


@pytest.fixture
def call(tmp_path):
    """Ask the frontend something over HTTP."""
    server = http_frontend.Frontend(Engine(state=str(tmp_path / "state")))
    server.engine.init(str(tmp_path / "repo"))
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def ask(path, body=None):
        url = f"http://127.0.0.1:{server.server_port}{path}"
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(url, data=data, timeout=60) as reply:
            return json.load(reply)

    yield ask
    server.shutdown()
    server.server_close()


@pytest.fixture
def volume(tmp_path):
    path = tmp_path / "volume.img"
    path.write_bytes(os.urandom(40 << 20) + bytes(10 << 20))
    return path


def wait_for(call, job, wanted):
    """Everything told, once ``wanted`` says that it is enough."""
    while True:
        told = call(f"/jobs/{job}/events?from=0")
        if wanted(told):
            return told["events"]
        time.sleep(0.01)


def test_a_backup_is_started_followed_and_its_result_taken(call, volume, tmp_path):
    job = call("/jobs", {"call": "backup", "repository": str(tmp_path / "repo"), "volume": str(volume)})["job"]

    events = wait_for(call, job, lambda told: told["done"])

    stages = [event["stage"] for event in events if event["event"] == "stage"]
    assert stages == ["identify", "hold", "survey", "read", "commit"]
    progress = [event for event in events if event["event"] == "progress"]
    assert progress[-1]["done"] == progress[-1]["total"] == 50 << 20
    result = call(f"/jobs/{job}/result")["result"]
    assert result["sizes"]["stored_size"] > 40 << 20
    assert result["whole_volume_because"]


def test_a_question_is_answered_as_data(call, volume, tmp_path):
    repository = str(tmp_path / "repo")
    job = call("/jobs", {"call": "backup", "repository": repository, "volume": str(volume)})["job"]
    image = call(f"/jobs/{job}/result")["result"]["image"]
    target = tmp_path / "target.img"
    target.write_bytes(b"\xff" * (50 << 20))

    restore = {"call": "restore", "repository": repository, "image": image, "to_volume": str(target)}
    for choice in ("no", "yes"):
        job = call("/jobs", restore)["job"]
        events = wait_for(call, job, lambda told: any(e["event"] == "question" for e in told["events"]))
        question = events[-1]
        assert question["id"] == "restore.overwrite"
        assert question["facts"]["size"] == str(50 << 20)
        call(f"/jobs/{job}/answer", {"question": question["id"], "choice": choice})
        outcome = call(f"/jobs/{job}/result")
        if choice == "no":
            assert outcome["error"]["id"] == "restore.refused"
            assert target.read_bytes() == b"\xff" * (50 << 20)
    assert outcome["result"]["proved"]
    assert target.read_bytes() == volume.read_bytes()


def test_a_job_is_cancelled_and_leaves_nothing(call, tmp_path):
    volume = tmp_path / "large.img"
    with volume.open("wb") as file:
        for _ in range(40):
            file.write(os.urandom(16 << 20))
    job = call("/jobs", {"call": "backup", "repository": str(tmp_path / "repo"), "volume": str(volume)})["job"]
    wait_for(call, job, lambda told: any(e["event"] == "progress" for e in told["events"]))

    call(f"/jobs/{job}/cancel", {})

    assert call(f"/jobs/{job}/result")["error"]["id"] == "cancelled"
    assert Engine(state=str(tmp_path / "state")).images(str(tmp_path / "repo")) == []
    assert list((tmp_path / "state" / "runs").iterdir()) == []


def test_an_error_has_a_stable_id_and_a_next_step(call, tmp_path):
    job = call("/jobs", {"call": "backup", "repository": str(tmp_path / "nowhere"), "volume": "/dev/null"})["job"]

    error = call(f"/jobs/{job}/result")["error"]

    assert error["id"] == "target"  # a folder that is not there may be a disk that is not mounted
    assert "init" in error["next_step"]


def test_it_is_about_eighty_lines():
    lines = Path(http_frontend.__file__).read_text().splitlines()
    assert len([line for line in lines if line.strip()]) < 100
