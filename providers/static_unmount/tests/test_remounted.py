"""Static by remounting read-only, on real file systems."""

from __future__ import annotations

import errno
import mmap
import os
import subprocess
import sys
from pathlib import Path

import pytest

from holdstill.errors import LeftHeld, VolumeBusy
from holdstill.spi.holds import UndoState
from holdstill_static_unmount import plugin
from holdstill_static_unmount.linux import remounted, static, syscalls, table, undoing
from holdstill_static_unmount.linux.kernel import Kernel
from holdstill_testing.suites.still import StillSuite

pytestmark = pytest.mark.root
FILESYSTEMS = ["ext4", "xfs", "btrfs"]


def writable(point: str) -> bool:
    try:
        Path(point, "try").write_text("x")
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
        return False
    Path(point, "try").unlink()
    return True


class TestStill(StillSuite):
    @pytest.fixture
    def make_still(self, make_still_by):
        return make_still_by("remount")

    @pytest.fixture
    def truth(self, still, place):
        return Path(place[0]).read_bytes()

    @pytest.fixture
    def acquired(self, place):
        """The volume being read-only."""
        return lambda: set() if writable(place[1]) else {f"{place[1]} read-only"}

    @pytest.fixture
    def change(self, write_straight):
        return write_straight

    @pytest.fixture
    def lose(self, place, run):
        return lambda: run("mount", "-o", "remount,rw", place[1])

    @pytest.fixture
    def heal(self, place, run):
        return lambda: run("mount", "-o", "remount,ro", place[1])


@pytest.mark.parametrize("filesystem", FILESYSTEMS)
def test_it_is_read_only_while_it_is_read_and_as_before_afterwards(
    mounted, identify, request_for, journal, table_of, filesystem, mount, run
):
    loop, point = mounted(filesystem, "-o", "noatime,nosuid")
    bound = mount(f"{point}/sub", "bound", "--bind", "-o", "nodev")
    before = table_of(loop)
    Path(point, "late").write_bytes(b"just before")

    still = plugin.snapshot(volume=identify(point), request=request_for())
    assert not writable(point)
    assert not writable(bound)
    assert [held.kind for held in journal.held] == [remounted.KIND]
    with still.open_reader() as reader:
        content = reader.read(0, min(reader.size, 64 << 20))
    assert b"just before" in content
    assert still.untrue() is None
    still.release()

    assert writable(point)
    assert writable(bound)
    assert table_of(loop) == before
    assert journal.held == ()


@pytest.mark.parametrize("filesystem", FILESYSTEMS)
def test_whoever_makes_it_writable_meanwhile_spoils_it(mounted, identify, request_for, run, filesystem):
    _, point = mounted(filesystem)
    still = plugin.snapshot(volume=identify(point), request=request_for())
    run("mount", "-o", "remount,rw", point)
    Path(point, "sneaked").write_bytes(b"x")
    run("mount", "-o", "remount,ro", point)
    assert still.untrue() == "something wrote to it while it was read"
    still.release()
    assert not any(row.read_only for row in table.read() if row.path == point)


def test_one_that_was_read_only_stays_so(mounted, identify, request_for, journal):
    _, point = mounted("ext4")
    subprocess.run(["mount", "-o", "remount,ro", point], check=True)
    still = plugin.snapshot(volume=identify(point), request=request_for())
    assert journal.held == ()
    assert still.untrue() is None
    still.release()
    assert not writable(point)


def test_unmounted_by_somebody_meanwhile(mounted, identify, request_for, run, journal):
    _, point = mounted()
    still = plugin.snapshot(volume=identify(point), request=request_for())
    run("umount", point)
    assert still.untrue() == "it was unmounted while it was read"
    still.release()
    assert journal.held == ()


START = "import os, sys, mmap"
STAY = "print('here', flush=True)\nsys.stdin.read()"


@pytest.fixture
def holder(undo):
    """A process that uses a file in its own way."""

    def start(code: str, *arguments: str) -> subprocess.Popen:
        process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                f"import os, sys, mmap\n{code}\nprint('here', flush=True)\nsys.stdin.read()",
                *arguments,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        undo.callback(process.stdout.close)
        undo.callback(process.stdin.close)
        undo.callback(process.wait)
        undo.callback(process.kill)
        assert process.stdout.readline() == "here\n"
        return process

    return start


WAYS = {
    "a file open for writing": ("f = open(sys.argv[1], 'r+b')", "has {} open for writing"),
    "an unlinked file": ("f = open(sys.argv[1], 'rb'); os.unlink(sys.argv[1])", "has the unlinked file {} open"),
    "a shared mapping": (
        "f = os.open(sys.argv[1], os.O_RDWR); m = mmap.mmap(f, 4096); os.close(f)",
        "has {} mapped shared and writable",
    ),
}


@pytest.mark.parametrize("filesystem", FILESYSTEMS)
@pytest.mark.parametrize("way", WAYS)
def test_whoever_stands_in_the_way_is_named(mounted, identify, request_for, journal, holder, way, filesystem):
    _, point = mounted(filesystem)
    code, said = WAYS[way]
    process = holder(code, f"{point}/file")
    with pytest.raises(VolumeBusy) as caught:
        plugin.snapshot(volume=identify(point), request=request_for())
    assert f"process {process.pid} (" in str(caught.value)
    assert said.format(f"{point}/file") in str(caught.value)
    assert writable(point)
    assert journal.held == ()


def test_readers_are_in_nobodys_way(mounted, identify, request_for):
    _, point = mounted()
    with open(f"{point}/file", "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ):
        still = plugin.snapshot(volume=identify(point), request=request_for())
        assert still.untrue() is None
        still.release()


def test_a_kernel_without_the_newer_calls_does_the_same(mounted, identify, request_for, table_of, mount, monkeypatch):
    monkeypatch.setattr(syscalls, "_FSPICK", 9999)
    loop, point = mounted("ext4", "-o", "noatime,nodev,lazytime")
    bound = mount(point, "bound", "--bind")
    subprocess.run(["mount", "-o", "remount,bind,ro", bound], check=True)
    before = table_of(loop)
    still = plugin.snapshot(volume=identify(point), request=request_for())
    assert not writable(point)
    still.release()
    assert table_of(loop) == before


class Stubborn(Kernel):
    """Does not make anything writable."""

    def remount(self, row, *, read_only):
        if not read_only:
            raise OSError(errno.EROFS, "no")
        super().remount(row, read_only=read_only)

    def rest(self, seconds):
        pass


def test_what_cannot_be_given_back_is_said_and_recovered_later(mounted, identify, request_for, journal):
    _, point = mounted()
    still = static.hold(identify(point), request_for(), Stubborn())
    with pytest.raises(LeftHeld, match="cannot be made writable: Read-only file system") as caught:
        still.release()
    assert f"mount -o remount,rw {point}" in caught.value.next_step
    (left,) = journal.held
    assert undoing.undo(left.kind, left.version, left.data).state is UndoState.REMOVED
    assert writable(point)
    assert undoing.undo(left.kind, left.version, left.data).state is UndoState.ABSENT


def test_after_a_reboot_or_on_another_device_nothing_is_touched(mounted, identify, request_for, journal, run):
    _, point = mounted()
    plugin.snapshot(volume=identify(point), request=request_for())
    (left,) = journal.held
    rebooted = {**left.data, "boot": "another"}
    assert remounted.undo(Kernel(), rebooted).state is UndoState.ABSENT
    other = {**left.data, "identity": "another"}
    assert remounted.undo(Kernel(), other).state is UndoState.REFUSED
    assert not writable(point)
    run("umount", point)
    assert remounted.undo(Kernel(), left.data).state is UndoState.ABSENT
    assert os.path.isdir(point)
