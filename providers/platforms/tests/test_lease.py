"""Plain files that somebody may write to while they are read."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from holdstill_platforms.linux.identify import identify
from holdstill_platforms.linux.lease import take_lease


@pytest.fixture
def image(noisy) -> Path:
    return noisy(100_000)


@pytest.fixture
def leased(image):
    with identify(str(image)).open_reader(exclusive=True) as reader:
        assert reader._watch.leased
        yield reader


@pytest.fixture
def watched(image, undo):
    """Somebody has it open for writing already, so no lease is granted."""
    undo.enter_context(image.open("r+b"))
    reader = undo.enter_context(identify(str(image)).open_reader(exclusive=True))
    assert not reader._watch.leased
    return reader


def lease_on(image: Path) -> str:
    """What the kernel's table says of a lease on the file: ``ACTIVE``, ``BREAKING``, or nothing."""
    inode = f":{image.stat().st_ino}"
    rows = (line.split() for line in Path("/proc/locks").read_text().splitlines())
    return next((row[2] for row in rows if row[1] == "LEASE" and row[5].endswith(inode)), "")


@pytest.mark.parametrize("look", ["changed", "read"])
def test_who_opens_for_writing_breaks_the_lease_and_waits_only_until_we_look(leased, image, look: str) -> None:
    leased.read(0, 100)
    assert lease_on(image) == "ACTIVE"
    with subprocess.Popen(("sh", "-c", f"echo x >> {image}")) as writer:
        while lease_on(image) == "ACTIVE":
            time.sleep(0.001)
        assert lease_on(image) == "BREAKING"
        leased.changed() if look == "changed" else leased.read(0, 100)
        assert lease_on(image) == ""
        assert writer.wait() == 0
    assert leased.changed() == "it was opened for writing while it was read"


def test_readers_break_nothing(leased, image) -> None:
    image.read_bytes()
    image.chmod(0o640)

    assert leased.changed() is None


def test_a_process_that_expects_no_signal_survives(image) -> None:
    """In a process of its own, whose signals are all as they come. Nor does a handler hear of it."""
    program = f"""
import os, signal, subprocess
from holdstill_platforms.linux.identify import identify
heard = []
for number in (signal.SIGURG,) if {{urgent}} else ():
    signal.signal(number, lambda *told: heard.append(told))
reader = identify({str(image)!r}).open_reader(exclusive=True)
assert reader._watch.leased
writer = subprocess.Popen(("sh", "-c", "exec 3<>{image}"))
while reader.changed() is None:
    pass
assert writer.wait() == 0
print("alive", heard)
"""
    for urgent in (False, True):
        done = subprocess.run(
            (sys.executable, "-c", program.format(urgent=urgent)), capture_output=True, text=True, timeout=60
        )
        assert (done.returncode, done.stdout) == (0, "alive []\n"), done.stderr


def test_no_lease_on_what_is_open_for_writing(image) -> None:
    with image.open("r+b"):
        fd = os.open(image, os.O_RDONLY)
        assert not take_lease(fd)
        os.close(fd)


def test_the_signal_handlers_of_the_host_stay(image) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGIO, signal.SIGURG)]
    identify(str(image)).open_reader(exclusive=True).close()

    assert [signal.getsignal(number) for number in (signal.SIGIO, signal.SIGURG)] == before


@pytest.mark.parametrize(("age", "naps"), [(0, 1), (3600, 0)])
def test_where_times_move_in_ticks_a_tick_is_waited_for(image, undo, monkeypatch, age: int, naps: int) -> None:
    """A second change in the tick of the first would have the same times."""
    undo.enter_context(image.open("r+b"))
    slept = []
    monkeypatch.setattr("holdstill_platforms.linux.lease.time.sleep", slept.append)
    now = image.stat().st_ctime + age
    monkeypatch.setattr("holdstill_platforms.linux.lease.time.time", lambda: now)
    identify(str(image)).open_reader(exclusive=True).close()

    assert len(slept) == naps


@pytest.mark.parametrize("again", range(5))
def test_a_write_right_after_the_open_is_noticed(watched, image, again: int) -> None:
    fd = os.open(image, os.O_WRONLY)
    os.pwrite(fd, b"y", 500)
    os.close(fd)

    assert watched.changed() == "it was written to while it was read"


def test_a_changed_size_is_noticed(watched, image) -> None:
    os.truncate(image, 99_999)

    assert watched.changed() == "its size changed from 100000 to 99999 bytes while it was read"


def test_hidden_times_are_noticed(watched, image) -> None:
    status = image.stat()
    fd = os.open(image, os.O_WRONLY)
    os.pwrite(fd, b"y", 500)
    os.utime(fd, ns=(status.st_atime_ns, status.st_mtime_ns))
    os.close(fd)

    assert watched.changed() == "it was changed while it was read"


def test_a_removed_or_replaced_file_is_noticed(leased, image) -> None:
    moved = image.rename(image.with_name("moved"))
    assert leased.changed() == "it was removed or renamed while it was read"
    image.write_bytes(b"other")
    assert leased.changed() == "it was replaced by another file while it was read"
    image.unlink()
    moved.rename(image)
    assert leased.changed() is None


def test_nothing_happened(watched) -> None:
    watched.read(0, 100_000)

    assert watched.changed() is None
