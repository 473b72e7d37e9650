"""Backups that are killed while a snapshot is made, read and removed, on real LVM; then `recover`."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from pathlib import Path

import pytest

from holdstill.held.journal import Journal
from holdstill_lvm2.lvm import Lvm
from holdstill_testing.torture import rounds

CHANCE = random.Random(11)


class Points:
    """Counts what is passed, and dies at one: before and after each line of the journal, and each command that changes
    storage.
    """

    def __init__(self, die_at):
        self.die_at = die_at
        self.passed = 0

    def pass_one(self):
        self.passed += 1
        if self.passed == self.die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, owner, name):
        real = getattr(owner, name)

        def counted(*given, **named):
            self.pass_one()
            answer = real(*given, **named)
            self.pass_one()
            return answer

        setattr(owner, name, counted)


@pytest.fixture(params=["thick", "thin"])
def place(request, volumes, run):
    """A volume with something on it, and a snapshot of somebody else's whose name looks like ours."""
    if request.param == "thick":
        path = volumes.make("data", "16m")
        run("lvcreate", "-y", "-s", "-L", "20m", "-n", "holdstill-0123456789abcdef-012345", "test-vg/data")
    else:
        run("lvcreate", "-y", "--type", "thin-pool", "-L", "64m", "-c", "64k", "-n", "pool", "test-vg")
        run("lvcreate", "-y", "-V", "16m", "--thinpool", "pool", "-n", "data", "test-vg")
        run("lvcreate", "-y", "-s", "-n", "holdstill-0123456789abcdef-012345", "test-vg/data")
        path = volumes.path("data")
    with open(path, "r+b", buffering=0) as file:
        file.write(os.urandom(1 << 20))
        os.fsync(file.fileno())
    return path


@pytest.fixture
def dying(bench, place):
    """Begins a backup in a process of its own."""

    def begin(die_at=0):
        assert threading.active_count() == 1
        told, tell = os.pipe()
        child = os.fork()
        if child:
            os.close(tell)
            return child, told
        try:
            points = Points(die_at)
            points.around(Journal, "_append")
            points.around(Lvm, "change")
            bench.backup(place)
            os.write(tell, str(points.passed).encode())
        finally:
            os._exit(0)

    return begin


def ended(child, told):
    """How many points it passed; none if it was killed."""
    status = os.waitpid(child, 0)[1]
    with os.fdopen(told, "rb") as pipe:
        said = pipe.read()
    return int(said) if said else -os.WTERMSIG(status)


def check(volumes, bench, place, before):
    recovered = bench.recover()
    assert volumes.names() == before, recovered
    assert volumes.suspended() == []
    assert bench.open_lines() == []
    write_to(place)


def write_to(place):
    with open(place, "r+b", buffering=0) as file:
        file.write(b"it lives")
        os.fsync(file.fileno())


@pytest.mark.slow("thin")
def test_killed_at_a_point(volumes, bench, place, dying):
    before = volumes.names()
    points = ended(*dying())
    assert points > 10
    assert volumes.names() == before

    for die_at in sorted(CHANCE.sample(range(1, points + 1), min(points, max(4, rounds(points))))):
        assert ended(*dying(die_at)) == -signal.SIGKILL
        check(volumes, bench, place, before)


@pytest.mark.slow("thin-lvcreate", "thin-lvremove")
@pytest.mark.parametrize("tool", ["lvcreate", "lvremove"])
def test_killed_while_lvm_works(volumes, bench, place, dying, until, tool):
    """What LVM was doing goes on without us; `recover` waits for it."""
    before = volumes.names()
    child, told = dying()
    until(lambda: running(tool))
    os.kill(child, signal.SIGKILL)

    assert ended(child, told) == -signal.SIGKILL
    check(volumes, bench, place, before)


@pytest.mark.slow
def test_lvm_itself_is_killed(volumes, bench, place, dying, until):
    """Whatever it had done by then, suspended the volume for one."""
    before = volumes.names()
    for _ in range(max(2, rounds(30))):
        child, told = dying()
        process = until(lambda: running("lvcreate"))
        time.sleep(CHANCE.random() * 0.6)
        os.kill(child, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):  # it may have been quicker
            os.kill(process, signal.SIGKILL)
        assert ended(child, told) == -signal.SIGKILL
        recovered = bench.recover()
        assert volumes.suspended() == []
        write_to(place)
        if volumes.names() != before:
            # A thin one that died between its messages to the pool: then LVM itself cannot go on, and that is told.
            assert [each.state for each in recovered] == ["unknown"]
            assert "Failed to update pool" in recovered[0].detail
            assert volumes.names() > before
            assert len(bench.open_lines()) == 1
            return
        assert bench.open_lines() == []


def running(tool):
    """The process of this tool that works for a run of ours."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "comm").read_text().strip() == tool and b"HOLDSTILL_RUN=" in (folder / "environ").read_bytes():
                return int(folder.name)
        except OSError:
            continue
    return None
