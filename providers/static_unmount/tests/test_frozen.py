"""A freeze, its watchdog, and a writer that does not stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from holdstill.errors import VolumeBusy, VolumeChanged, VolumeUnusable
from holdstill.model.volume import Mode
from holdstill.spi.holds import UndoState
from holdstill_static_unmount import plugin
from holdstill_static_unmount.linux import frozen
from holdstill_static_unmount.linux.kernel import Kernel

pytestmark = pytest.mark.root

HAMMER = """
import os, sys
count = 0
while True:
    fd = os.open(sys.argv[1] + "/hammered", os.O_RDWR | os.O_CREAT)
    os.pwrite(fd, count.to_bytes(8, "little") * 512, (count % 500) * 4096)
    if count % 100 == 0: os.fsync(fd)
    os.close(fd)
    count += 1
    if count % 50 == 0: os.write(1, b".")
"""


def is_frozen(point: str) -> bool:
    done = subprocess.run(["fsfreeze", "--freeze", point], capture_output=True)
    if done.returncode == 0:
        subprocess.run(["fsfreeze", "--unfreeze", point], check=True)
    return done.returncode != 0


@pytest.fixture
def freeze(identify, request_for, undo):
    def make(point, limit=60.0):
        made = plugin.freeze(volume=identify(point), request=request_for(mode=Mode.FREEZE, limit=limit))
        undo.callback(made.thaw)
        return made

    return make


@pytest.fixture
def hammered(mounted, undo):
    """A volume with a writer on it that never rests: where, and the writer."""

    def make(filesystem):
        loop, point = mounted(filesystem)
        writer = subprocess.Popen([sys.executable, "-c", HAMMER, point], stdout=subprocess.PIPE)
        undo.callback(writer.stdout.close)
        undo.callback(writer.wait)
        undo.callback(writer.kill)
        writer.stdout.read(3)
        return loop, point, writer

    return make


def until(condition):
    while not condition():
        time.sleep(0.01)


@pytest.mark.parametrize("filesystem", ["ext4", "xfs", "btrfs"])
def test_writers_wait_and_what_is_read_stays(hammered, freeze, identify, journal, filesystem):
    loop, point, writer = hammered(filesystem)
    held = freeze(point)
    assert is_frozen(point)
    assert [line.kind for line in journal.held] == [frozen.KIND]
    with identify(loop).open_reader(exclusive=False) as reader:
        first = reader.read(0, 32 << 20)
        time.sleep(0.3)
        assert reader.read(0, 32 << 20) == first
    assert held.ended() is None
    held.thaw()
    held.thaw()
    assert not is_frozen(point)
    assert journal.held == ()
    writer.stdout.read1()
    assert writer.stdout.read(20)  # and it goes on


def test_past_its_limit_it_has_ended(hammered, freeze, journal):
    _, point, _ = hammered("ext4")
    held = freeze(point, limit=0.4)
    until(lambda: not is_frozen(point))
    assert held.ended() == "the freeze ended at its limit of 0.4 seconds, before everything was read"
    assert held.ended() == "the freeze ended at its limit of 0.4 seconds, before everything was read"
    with pytest.raises(VolumeChanged, match="at its limit"):
        held.renew()
    held.thaw()
    assert journal.held == ()


def test_renewed_it_lasts_longer(mounted, freeze):
    _, point = mounted()
    held = freeze(point, limit=2.0)
    for _ in range(4):
        time.sleep(0.7)
        held.renew()
    assert held.ended() is None
    assert is_frozen(point)


def test_somebody_thaws_it(mounted, freeze, run):
    _, point = mounted()
    held = freeze(point)
    run("fsfreeze", "--unfreeze", point)
    assert held.ended() == "somebody thawed it before everything was read"
    assert not is_frozen(point)
    assert held.ended() == "somebody thawed it before everything was read"


def test_somebody_thaws_it_writes_and_freezes_it_again(mounted, freeze, run):
    _, point = mounted()
    held = freeze(point)
    run("fsfreeze", "--unfreeze", point)
    Path(point, "sneaked").write_bytes(b"x")
    run("fsfreeze", "--freeze", point)
    assert held.ended() == "something wrote to it although it was frozen"


def test_somebody_had_frozen_it_and_it_stays_so(mounted, freeze, run, journal, undo):
    _, point = mounted()
    run("fsfreeze", "--freeze", point)
    undo.callback(run, "fsfreeze", "--unfreeze", point)
    with pytest.raises(VolumeBusy, match="frozen it already"):
        freeze(point)
    assert is_frozen(point)
    assert journal.held == ()


def test_the_watchdog_thaws_when_it_is_asked_to_end(mounted, freeze):
    _, point = mounted()
    held = freeze(point)
    os.kill(held._dog.pid, signal.SIGTERM)
    until(lambda: not is_frozen(point))
    assert held.ended() == "the freeze ended before everything was read (thawed ended)"


def test_with_the_watchdog_killed_we_thaw(mounted, freeze, journal):
    _, point = mounted()
    held = freeze(point)
    held._dog.kill()
    held._dog.wait()
    assert is_frozen(point)
    assert "the watchdog died" in held.ended()
    held.thaw()
    assert not is_frozen(point)
    assert journal.held == ()


def test_with_both_killed_the_undo_thaws(mounted, freeze, journal):
    _, point = mounted()
    held = freeze(point)
    held._dog.kill()
    held._dog.wait()
    (left,) = journal.held
    assert frozen.undo(Kernel(), {**left.data, "boot": "x"}).state is UndoState.ABSENT
    assert frozen.undo(Kernel(), {**left.data, "identity": "x"}).state is UndoState.REFUSED
    assert is_frozen(point)
    assert frozen.undo(Kernel(), left.data).state is UndoState.REMOVED
    assert not is_frozen(point)
    assert frozen.undo(Kernel(), left.data).state is UndoState.ABSENT


def test_the_watchdog_survives_the_engine_and_lets_the_writers_go_on(mounted, tmp_path):
    """SIGKILL of the process that asked; the limit is far away."""
    _, point = mounted()
    code = f"""
import sys, time
from pathlib import Path
from holdstill.held.journal import Journal
from holdstill.model.volume import Mode
from holdstill.spi.still import HoldRequest
from holdstill_platforms.linux.identify import identify
from holdstill_static_unmount import plugin
folder = Path({str(tmp_path)!r}) / "killed"; folder.mkdir()
journal = Journal.begin(folder)
held = plugin.freeze(volume=identify({point!r}), request=HoldRequest(journal.run, journal, mode=Mode.FREEZE, limit=600))
print("frozen", flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as engine:
        assert engine.stdout.readline() == b"frozen\n"
        assert is_frozen(point)
        engine.kill()
    until(lambda: not is_frozen(point))


def test_it_writes_nothing(mounted, freeze):
    """No file of it is open for writing, and its directory is nobody's."""
    _, point = mounted()
    held = freeze(point)
    home = Path(f"/proc/{held._dog.pid}")
    links = {str(entry.readlink()) for entry in (home / "fd").iterdir()}
    assert {link for link in links if not link.startswith(("socket:", "/dev/null"))} == {point}
    assert (home / "cwd").readlink() == Path("/")
    assert os.getsid(held._dog.pid) == held._dog.pid


def test_what_cannot_be_frozen(device, freeze, mounted, run, undo):
    with pytest.raises(VolumeUnusable, match="not mounted"):
        freeze(device())
    _, point = mounted()
    run("mount", "-t", "tmpfs", "tmpfs", f"{point}/sub")
    undo.callback(run, "umount", f"{point}/sub")
    with pytest.raises(VolumeBusy, match="mounted below"):
        freeze(point)
