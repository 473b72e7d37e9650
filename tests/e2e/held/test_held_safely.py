"""The command on mounted volumes: the image is right, and the host gets its volume back, whatever happens."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from holdstill.held.runner import survivors

pytestmark = pytest.mark.root
WAYS = {
    "remount": ["--mode", "static"],
    "unmount": ["--mode", "static", "--static-method", "unmount"],
    "freeze": ["--mode", "freeze"],
}


@pytest.mark.parametrize("way", WAYS)
def test_the_image_is_the_volume_and_the_volume_is_back(place, way, tmp_path):
    result = place.result("backup", place.point, *WAYS[way])
    assert (result["mode"], result["consistency"]) == (WAYS[way][1], "point-in-time")
    assert result["whole_volume_because"] is None
    assert place.left() == []
    assert place.journals() == []
    restored = tmp_path / "restored"
    assert place.run("restore", "latest", "--to-file", str(restored)).returncode == 0
    subprocess.run(["e2fsck", "-fn", restored], check=True, capture_output=True)
    dumped = subprocess.run(["debugfs", "-R", "cat files/data", restored], capture_output=True, check=True).stdout
    assert dumped == Path(place.bound, "data").read_bytes()


def test_an_image_file_that_is_mounted(place, tmp_path):
    """The mount is found through the loop device that stands on the file."""
    before = Path(place.bound, "data").read_bytes()
    Path(place.bound, "late").write_bytes(b"just now" * 1000)
    result = place.result("backup", str(place.folder / "volume.img"), "--mode", "static")
    assert result["mode"] == "static"
    assert place.left() == []
    restored = tmp_path / "restored"
    assert place.run("restore", "latest", "--to-file", str(restored)).returncode == 0
    for name, content in (("data", before), ("late", b"just now" * 1000)):
        dumped = subprocess.run(["debugfs", "-R", f"cat files/{name}", restored], capture_output=True, check=True)
        assert dumped.stdout == content


def test_auto_does_not_touch_what_is_in_use_unless_told(place):
    refused = place.result("backup", place.point)
    assert refused["error"]["id"] == "volume.busy"
    assert place.result("backup", place.point, "--on-no-snapshot", "static")["mode"] == "static"
    assert place.result("backup", place.point, "--on-no-snapshot", "freeze")["mode"] == "freeze"
    dynamic = place.result("backup", place.point, "--on-no-snapshot", "dynamic")
    assert (dynamic["mode"], dynamic["consistency"]) == ("dynamic", "fuzzy")
    assert place.left() == []


@pytest.mark.parametrize("way", WAYS)
def test_a_dry_run_touches_nothing(place, way):
    with open(f"{place.bound}/data", "r+b"):
        result = place.result("backup", place.point, "--dry-run", *WAYS[way], "--presnapshotcmd", "false")
    assert (result["mode"], result["image"]) == (WAYS[way][1], None)


@pytest.mark.parametrize("way", ["remount", "unmount"])
def test_whoever_is_in_the_way_is_named(place, way):
    with open(f"{place.bound}/data", "r+b"):
        error = place.result("backup", place.point, *WAYS[way])["error"]
    assert error["id"] == "volume.busy"
    assert f"process {os.getpid()} (" in error["message"]
    assert f"{place.bound}/data open for writing" in error["message"]
    assert place.left() == []
    assert place.journals() == []


@pytest.mark.parametrize("way", ["remount", "freeze"])
def test_its_own_ground_is_refused_first(place, way):
    place.environment["HOLDSTILL_STATE"] = f"{place.point}/state"
    error = place.result("backup", place.point, *WAYS[way])["error"]
    assert (error["id"], "the state folder" in error["message"]) == ("volume.own-ground", True)
    place.environment["HOLDSTILL_STATE"] = str(place.state)
    place.environment["HOLDSTILL_REPO"] = f"{place.point}/repository"
    assert place.run("init").returncode == 0
    error = place.result("backup", place.point, *WAYS[way])["error"]
    assert (error["id"], "the repository" in error["message"]) == ("volume.own-ground", True)
    place.environment["HOLDSTILL_REPO"] = place.repository
    with (
        open(f"{place.point}/log", "w") as log,
        place.start("backup", place.point, *WAYS[way], stderr=log) as process,
    ):
        process.communicate()
    assert process.returncode == 1
    assert "its messages" in Path(place.point, "log").read_text()
    assert place.left() == []


# --- commands -------------------------------------------------------------------------------------


def noting(place, name, code=0, more=""):
    """A command that notes whether the volume can be written to."""
    program = f"""
import os, sys
try:
    open({place.point + "/written"!r}, "w").close(); can = os.path.ismount({place.point!r})
except OSError:
    can = False
with open({str(place.folder / "notes")!r}, "a") as notes:
    notes.write("{name} " + str(can) + "\\n")
{more}
sys.exit({code})
"""
    path = place.folder / f"{name}.py"
    path.write_text(program)
    return shlex.join([sys.executable, str(path)])


def notes(place):
    path = place.folder / "notes"
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.parametrize("way", WAYS)
def test_commands_run_while_the_volume_can_be_written_to(place, way):
    commands = ["--presnapshotcmd", noting(place, "before"), "--postsnapshotcmd", noting(place, "after")]
    done = place.run("backup", place.point, *WAYS[way], *commands)
    assert done.returncode == 0, done.stderr
    assert notes(place) == ["before True", "after True"]


def test_dynamic_lets_the_application_go_on_at_once(place):
    after = noting(place, "after")
    process = place.start("backup", "--json", place.point, "--mode", "dynamic", "--postsnapshotcmd", after)
    out, _ = process.communicate()
    assert process.returncode == 0
    assert notes(place) == ["after True"]
    assert json.loads(out.splitlines()[-1])["warnings"] == []


def test_the_first_command_fails(place):
    commands = ["--presnapshotcmd", noting(place, "before", code=1), "--postsnapshotcmd", noting(place, "after")]
    error = place.result("backup", place.point, "--mode", "static", *commands)["error"]
    assert error["id"] == "command.failed"
    assert notes(place) == ["before True", "after True"]
    assert place.images() == []


def test_the_first_command_takes_too_long(place):
    before = noting(place, "before", more="import time; time.sleep(600)")
    error = place.result(
        "backup", place.point, "--mode", "static", "--presnapshotcmd", before, "--command-timeout", "2"
    )["error"]
    assert (error["id"], "took too long" in error["message"]) == ("command.failed", True)
    assert place.images() == []
    assert place.left() == []


def test_the_second_command_fails(place):
    after = noting(place, "after", code=7)
    done = place.run("backup", place.point, "--mode", "static", "--postsnapshotcmd", after, "--json")
    assert done.returncode == 3
    assert "ended with exit code 7" in json.loads(done.stdout.splitlines()[-1])["warnings"][0]
    assert len(place.images()) == 1


# --- signals and the limit ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("way", "number", "code"),
    [
        ("remount", signal.SIGINT, 130),
        ("unmount", signal.SIGINT, 130),
        ("freeze", signal.SIGINT, 130),
        ("unmount", signal.SIGTERM, 143),
        ("freeze", signal.SIGHUP, 143),
    ],
)
def test_a_signal_gives_everything_back(place, way, number, code):
    before = noting(place, "before", more="import time; time.sleep(600)") if way == "remount" else ""
    after = noting(place, "after")
    process = place.start(
        "backup", "--json", place.point, *WAYS[way], "--presnapshotcmd", before, "--postsnapshotcmd", after
    )
    for line in process.stdout:
        if json.loads(line).get("stage") == ("hold" if before else "survey"):
            break
    if before:
        while "before True" not in notes(place):
            time.sleep(0.01)
    process.send_signal(number)
    asked = time.monotonic()
    out, err = process.communicate(timeout=60)
    took = time.monotonic() - asked
    assert process.returncode in (code, 0), err  # 0: it was already done
    if process.returncode:
        assert json.loads(out.splitlines()[-1])["error"]["id"] == "cancelled"
        assert place.images() == []
    assert notes(place)[-1] == "after True"
    assert place.left() == []
    assert place.journals() == []
    assert took < 20


def test_past_its_limit_a_freeze_gives_no_image(place):
    """The limit is shorter than the reading: the repository is stopped for a while."""
    slow = place.folder / "slow.py"
    slow.write_text(
        "import sys, time\n"
        "from holdstill.pipeline.copying import Copier\n"
        "read = Copier._fill\n"
        "def late(self, *given):\n    time.sleep(0.6); return read(self, *given)\n"
        "Copier._fill = late\n"
        "from holdstill_cli.main import run\n"
        "sys.argv[0] = 'holdstill'\nrun()\n"
    )
    done = subprocess.run(
        [sys.executable, slow, "backup", place.point, "--mode", "freeze", "--freeze-limit", "1", "--json"],
        env=place.environment,
        capture_output=True,
        text=True,
    )
    error = json.loads(done.stdout.splitlines()[-1])["error"]
    assert (done.returncode, error["id"]) == (1, "volume.changed")
    assert "its limit of 1 seconds" in error["message"]
    assert place.images() == []
    assert place.left() == []


def test_a_second_run_on_the_same_volume_is_refused(place):
    before = noting(place, "before", more="import time; time.sleep(3)")
    with place.start("backup", place.point, "--mode", "static", "--presnapshotcmd", before) as first:
        while not notes(place):
            time.sleep(0.01)
        error = place.result("backup", place.point, "--mode", "static")["error"]
        assert first.wait() == 0
        first.communicate()
    assert error["id"] == "volume.busy"
    assert "another run of holdstill" in error["message"]
    assert place.left() == []


def test_the_next_backup_heals_what_a_killed_one_left(place):
    after, asleep = noting(place, "after"), place.folder / "asleep"
    sleep = shlex.join(["sh", "-c", f"touch {shlex.quote(str(asleep))}; exec sleep 600"])
    killed = place.start(
        "backup", place.point, "--mode", "freeze", "--presnapshotcmd", sleep, "--postsnapshotcmd", after
    )
    while not asleep.exists():
        time.sleep(0.01)
    killed.kill()
    killed.communicate()
    assert notes(place) == []
    (run,) = (journal.stem for journal in place.journals())
    while not (left := survivors(run, 0)):
        time.sleep(0.01)  # while it becomes another program its environment cannot be read
    (sleeper,) = left
    os.kill(sleeper, signal.SIGKILL)
    healed = place.run("backup", place.point, "--mode", "static")
    assert healed.returncode == 3, healed.stderr
    assert "a killed run had left this held, now undone" in healed.stderr
    assert notes(place) == ["after True"]
    assert place.journals() == []
