"""Signals: a job ends in good order, everything else at once, and the exit code says which it was."""

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import textwrap
import time

import pytest

_ENGINE = """
import sys, time
from holdstill import Question, StageStarted
from holdstill.errors import Cancelled
from holdstill_cli.main import run

class Waits:
    def backup(self, url, request, talk):
        talk.tell(StageStarted("read", request.volume))
        open("working", "w").close()
        while not talk.cancelled():
            time.sleep(0.01)
        open("released", "w").close()
        raise Cancelled("nothing was committed", subject=request.volume)

    def volumes(self):
        print("listing", file=sys.stderr, flush=True)
        time.sleep(60)

    def delete(self, url, image, talk):
        talk.ask(Question("delete.image", "Delete it?"))
        raise AssertionError("nobody answered")

run(Waits)
"""


@pytest.fixture
def waiting(tmp_path, environment):
    """Start the command with an engine that works until it is told to end."""
    script = tmp_path / "waits.py"
    script.write_text(textwrap.dedent(_ENGINE))
    started = []

    def start(*words, **more):
        process = subprocess.Popen(
            [sys.executable, script, *words],
            env={**environment, "HOLDSTILL_REPO": "/nowhere"},
            cwd=tmp_path,
            text=True,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, **more},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)], ids=lambda each: str(each)
)
def test_a_job_releases_what_it_holds_and_ends(waiting, tmp_path, number, code, published):
    process = waiting("backup", "--json", "/v")
    assert json.loads(process.stdout.readline())["event"] == "stage"

    process.send_signal(number)
    out, err = process.communicate(timeout=60)

    line = json.loads(out.splitlines()[-1])
    published("result-backup")(line)
    assert process.returncode == line["error"]["exit_code"] == code
    assert line["error"]["id"] == "cancelled"
    assert (tmp_path / "released").exists()
    assert err == ""


def test_an_interrupted_job_tries_no_further_volume(waiting):
    process = waiting("backup", "--json", "/v", "/w")
    process.stdout.readline()

    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)

    assert process.returncode == 130
    assert [json.loads(line)["event"] for line in out.splitlines()] == ["result"]
    assert "/w" not in out


def test_an_impatient_person_is_told_that_it_is_stopping(waiting, tmp_path):
    process = waiting("backup", "/v", "/w")
    while not (tmp_path / "working").exists() and process.poll() is None:
        time.sleep(0.01)
    for _ in range(5):
        process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)

    assert process.returncode == 130
    assert err == "stopping; releasing what is held\nholdstill: /v: nothing was committed\n"


def test_what_holds_nothing_ends_at_once(waiting):
    process = waiting("volumes", "--json")
    assert process.stderr.readline() == "listing\n"

    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)

    assert process.returncode == 143
    assert json.loads(out)["error"]["id"] == "cancelled"
    assert err == ""


def test_an_ignored_hangup_stays_ignored(waiting, tmp_path):
    process = waiting("backup", "--json", "/v", preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    process.stdout.readline()

    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)

    assert process.returncode == 130


def test_a_real_backup_commits_nothing_after_a_signal(command, hold, repo, volume, tmp_path):
    """The real engine is stopped in its second event: the pipe has room for one."""
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
    before = os.write(write, b"\n" * 4000)
    process = subprocess.Popen(
        [command, "backup", "--json", "--repo", repo, volume.name],
        cwd=tmp_path,
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(write)
    while _waiting_bytes(read) == before and process.poll() is None:
        time.sleep(0.01)

    process.send_signal(signal.SIGTERM)
    with os.fdopen(read) as out:
        lines = [json.loads(line) for line in out.read().split("\n") if line]
    _, err = process.communicate(timeout=60)

    assert lines[0]["event"] == "stage"
    assert lines[-1]["error"]["id"] == "cancelled"
    assert (process.returncode, err) == (143, "")
    assert hold("images", "--json", repo=repo).result["images"] == []


def _waiting_bytes(pipe):
    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4))[0]


def test_ctrl_c_at_a_question_declines(waiting):
    ours, theirs = pty.openpty()
    process = waiting("delete", "aa", stdin=theirs)
    os.close(theirs)
    said = ""
    while "[yes/NO] " not in said:
        said += process.stderr.read(1)

    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    os.close(ours)

    assert process.returncode == 130
    assert "interrupted at a question; nothing was done" in err
