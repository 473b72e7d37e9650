"""Static by unmounting: refused where it could not be undone exactly, and undone exactly."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

from holdstill.errors import LeftHeld, VolumeBusy, VolumeUnusable
from holdstill.model.volume import Mount
from holdstill.spi.holds import UndoState
from holdstill_static_unmount import plugin
from holdstill_static_unmount.linux import shape, static, table, undoing, unmounted
from holdstill_static_unmount.linux.kernel import Kernel
from holdstill_testing.fakes.memory_volume import MemoryVolume
from holdstill_testing.suites.still import StillSuite

pytestmark = pytest.mark.root


def is_mounted(point: str) -> bool:
    return any(row.path == point for row in table.read())


class TestStill(StillSuite):
    @pytest.fixture
    def make_still(self, make_still_by):
        return make_still_by("unmount")

    @pytest.fixture
    def truth(self, still, place):
        return Path(place[0]).read_bytes()

    @pytest.fixture
    def acquired(self, place):
        return lambda: set() if is_mounted(place[1]) else {f"{place[1]} unmounted"}

    @pytest.fixture
    def change(self, write_straight):
        return write_straight

    @pytest.fixture
    def lose(self, place):
        def write():
            with open(place[0], "r+b", buffering=0) as raw:
                block = raw.read(4096)
                raw.seek(0)
                raw.write(block)
                os.fsync(raw.fileno())

        return write


@pytest.fixture
def crowd(mounted, mount, run):
    """A file system mounted in many ways."""

    def make(filesystem):
        loop, point = mounted(filesystem, "-o", "nosuid,noatime")
        run("mount", "--make-shared", point)
        peer = mount(point, "peer", "--bind")
        slave = mount(point, "slave", "--bind")
        run("mount", "--make-slave", slave)
        private = mount(f"{point}/sub", "private", "--bind")
        run("mount", "--make-private", private)
        run("mount", "-o", "remount,bind,ro,nodev", private)
        alone = mount(peer, "alone", "--bind")
        run("mount", "--make-private", alone)
        run("mount", "--make-shared", alone)
        unbindable = mount(point, "unbindable", "--bind")
        run("mount", "--make-private", unbindable)
        run("mount", "--make-unbindable", unbindable)
        return loop, point, (point, peer, slave, private, alone, unbindable)

    return make


@pytest.mark.parametrize("filesystem", ["ext4", "xfs", "btrfs"])
def test_many_mounts_are_put_back_exactly(crowd, identify, request_for, journal, filesystem):
    loop, point, points = crowd(filesystem)
    before = [row for row in table.read() if row.source == loop]
    assert len(before) == len(points)

    still = plugin.snapshot(volume=identify(point), request=request_for("unmount"))
    assert not any(row.source == loop for row in table.read())
    with pytest.raises(OSError, match="busy"):
        os.open(loop, os.O_RDONLY | os.O_EXCL)
    assert subprocess.run(["mount", loop, point], capture_output=True).returncode != 0
    with still.open_reader() as reader:
        reader.read(0, 1 << 20)
    assert still.untrue() is None
    still.release()

    assert shape.differences(before, table.read()) == []
    assert sum(row.source == loop for row in table.read()) == len(points)
    assert journal.held == ()
    # and it really propagates as it did: to the peer and to the follower, not to those that stand alone
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", f"{point}/sub"], check=True)
    places = {row.path for row in table.read() if row.filesystem == "tmpfs"}
    subprocess.run(["umount", f"{point}/sub"], check=True)
    assert {f"{points[1]}/sub", f"{points[2]}/sub"} <= places
    assert not {f"{points[4]}/sub", f"{points[5]}/sub"} & places


def test_a_subvolume_is_mounted_as_a_subvolume(device, mount, identify, request_for, run):
    loop = device("btrfs")
    top = mount(loop, "top")
    run("btrfs", "subvolume", "create", f"{top}/home")
    home = mount(loop, "home", "-o", "subvol=home,noatime")
    run("umount", top)
    Path(home, "file").write_bytes(b"x" * 5000)
    before = [row for row in table.read() if row.source == loop]
    still = plugin.snapshot(volume=identify(home), request=request_for("unmount"))
    still.release()
    assert shape.differences(before, table.read()) == []
    assert Path(home, "file").read_bytes() == b"x" * 5000


def test_mounted_below_a_shared_mount_the_mirror_comes_back_too(tmp_path, mount, device, identify, request_for, run):
    outer = mount("tmpfs", "outer", "-t", "tmpfs")
    run("mount", "--make-shared", outer)
    Path(outer, "in").mkdir()
    mirror = mount(outer, "mirror", "--bind")
    loop = device()
    inner = mount(loop, "outer/in")
    assert is_mounted(f"{mirror}/in")
    before = [row for row in table.read() if row.source == loop]
    still = plugin.snapshot(volume=identify(inner), request=request_for("unmount"))
    assert not is_mounted(f"{mirror}/in")
    still.release()
    assert shape.differences(before, table.read()) == []
    run("umount", inner)


def test_another_namespace_that_follows_gets_it_back(device, mount, identify, request_for, run, undo):
    outer = mount("tmpfs", "outer", "-t", "tmpfs")
    run("mount", "--make-shared", outer)
    Path(outer, "in").mkdir()
    inner = mount(device(), "outer/in")
    follower = elsewhere(undo, "slave")
    assert any(row.path == inner for row in table.read(str(follower)))
    still = plugin.snapshot(volume=identify(inner), request=request_for("unmount"))
    assert not any(row.path == inner for row in table.read(str(follower)))
    still.release()
    assert any(row.path == inner for row in table.read(str(follower)))
    run("umount", inner)


def elsewhere(undo, propagation):
    process = subprocess.Popen(
        ["unshare", "--mount", "--propagation", propagation, "sh", "-c", "echo here; exec sleep 300"],
        stdout=subprocess.PIPE,
        text=True,
    )
    undo.callback(process.wait)
    undo.callback(process.kill)
    undo.callback(process.stdout.close)
    assert process.stdout.readline() == "here\n"
    return process.pid


# --- refused before anything is touched -----------------------------------------------------------


def refused(tmp_path, identify, request_for, journal, point, error, *words, method="unmount"):
    def rows():
        return [row for row in table.read() if row.path.startswith(str(tmp_path))]

    before = rows()
    with pytest.raises(error) as caught:
        plugin.snapshot(volume=identify(point), request=request_for(method))
    for word in words:
        assert word in str(caught.value)
    assert rows() == before
    assert journal.held == ()


@pytest.fixture
def is_refused(tmp_path, identify, request_for, journal):
    return functools.partial(refused, tmp_path, identify, request_for, journal)


def test_a_namespace_that_would_keep_it(mounted, is_refused, undo):
    _, point = mounted()
    process = elsewhere(undo, "private")
    is_refused(point, VolumeBusy, "other mount namespaces", f"{point} (of process ")
    assert process


def test_a_mount_that_follows_a_foreign_one(mounted, is_refused, run, undo):
    _, point = mounted()
    run("mount", "--make-shared", point)
    elsewhere(undo, "unchanged")
    run("mount", "--make-slave", point)
    is_refused(point, VolumeUnusable, "could not be mounted again exactly", "follows a mount that is not one of its")


def test_a_part_without_the_whole(mounted, is_refused, mount, run):
    _, point = mounted()
    bound = mount(f"{point}/sub", "bound", "--bind")
    run("umount", point)
    is_refused(bound, VolumeUnusable, "shows only a part of it, /sub")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("f = open(sys.argv[1] + '/file')", "has {}/file open"),
        ("os.chdir(sys.argv[1])", "is in {}"),
        ("os.chroot(sys.argv[1])", "has for its root {}"),
        ("m = mmap.mmap(os.open(sys.argv[1] + '/file', os.O_RDONLY), 4096, prot=mmap.PROT_READ)", "{}/file"),
    ],
)
def test_processes_are_named(mounted, is_refused, undo, code, said):
    _, point = mounted()
    program = f"import os, sys, mmap\n{code}\nos.write(1, b'here\\n'); os.read(0, 1)"
    process = subprocess.Popen(
        [sys.executable, "-c", program, point], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    undo.callback(process.stdin.close)
    undo.callback(process.stdout.close)
    undo.callback(process.wait)
    undo.callback(process.kill)
    assert process.stdout.readline() == "here\n"
    is_refused(point, VolumeBusy, f"process {process.pid} (", said.format(point))


METHODS = ["remount", "unmount"]


@pytest.mark.parametrize("method", METHODS)
def test_what_is_mounted_below(mounted, is_refused, run, undo, method):
    _, point = mounted()
    run("mount", "-t", "tmpfs", "tmpfs", f"{point}/sub")
    undo.callback(run, "umount", f"{point}/sub")
    is_refused(point, VolumeBusy, f"mounted below it: {point}/sub (tmpfs)", method=method)


@pytest.mark.parametrize("method", METHODS)
def test_a_swap_file_on_it(mounted, is_refused, run, undo, method):
    _, point = mounted("ext4")
    swap = Path(point, "swap file")
    swap.write_bytes(bytes(2 << 20))
    swap.chmod(0o600)
    run("mkswap", str(swap))
    run("swapon", str(swap))
    undo.callback(run, "swapoff", str(swap))
    is_refused(point, VolumeBusy, f"swaps to {swap}", method=method)


@pytest.mark.parametrize("method", METHODS)
def test_a_loop_device_on_a_file_of_it(mounted, is_refused, run, undo, method):
    _, point = mounted()
    loop = run("losetup", "--find", "--show", f"{point}/file")
    undo.callback(run, "losetup", "--detach", loop)
    is_refused(point, VolumeBusy, f"stands on {point}/file", method=method)


@pytest.mark.parametrize("method", METHODS)
def test_the_root_file_system(request_for, journal, method):
    root = next(row for row in table.read() if row.path == "/")
    volume = MemoryVolume(b"x" * 4096)
    volume.facts = attrs.evolve(volume.facts, mounts=(Mount("/", root.filesystem, root=root.root),))
    with pytest.raises(VolumeUnusable, match="root file system"):
        plugin.snapshot(volume=volume, request=request_for(method))
    assert journal.held == ()


@pytest.mark.parametrize("method", METHODS)
def test_what_an_automounter_mounted(mounted, identify, request_for, journal, method):
    _, point = mounted()

    class Automounted(Kernel):
        def rows(self):
            rows = table.read()
            (ours,) = [row for row in rows if row.path == point]
            trap = attrs.evolve(ours, id=99_999_999, filesystem="autofs", source="systemd-1", device="0:999")
            return [*(row for row in rows if row is not ours), trap, attrs.evolve(ours, parent=trap.id)]

    with pytest.raises(VolumeBusy, match=f"mounted by an automounter, at {point}"):
        static.hold(identify(point), request_for(method), Automounted())
    assert journal.held == ()
    assert not next(row for row in table.read() if row.path == point).read_only


def test_a_plain_file(mounted, is_refused, tmp_path):
    mounted()
    is_refused(str(tmp_path / "volume.img"), VolumeUnusable, "it is a file")


@pytest.mark.parametrize("method", METHODS)
def test_what_is_not_mounted_here(device, is_refused, method):
    is_refused(device(), VolumeUnusable, "not mounted in this mount namespace", method=method)


# --- when putting back fails ----------------------------------------------------------------------


class Reluctant(Kernel):
    """Mounts nothing."""

    def mount(self, row):
        raise OSError(16, "no")

    def rest(self, seconds):
        pass


def test_what_cannot_be_put_back_is_said_and_recovered_later(mounted, identify, request_for, journal):
    loop, point = mounted()
    still = static.hold(identify(point), request_for("unmount"), Reluctant())
    with pytest.raises(LeftHeld, match=f"{point} cannot be mounted again: Device or resource busy") as caught:
        still.release()
    assert f"{loop} {point}" in caught.value.next_step
    (left,) = journal.held
    assert not is_mounted(point)
    assert undoing.undo(left.kind, left.version, left.data).state is UndoState.REMOVED
    assert is_mounted(point)
    assert undoing.undo(left.kind, left.version, left.data).state is UndoState.ABSENT


def test_somebody_opens_it_in_between(mounted, identify, request_for, journal, monkeypatch):
    loop, point = mounted()
    volume = identify(point)
    real = type(volume).open_reader

    def late(self, *, exclusive):
        taken = os.open(loop, os.O_RDONLY | os.O_EXCL)
        try:
            return real(self, exclusive=exclusive)
        finally:
            os.close(taken)

    monkeypatch.setattr(type(volume), "open_reader", late)
    with pytest.raises(VolumeBusy):
        plugin.snapshot(volume=volume, request=request_for("unmount"))
    assert is_mounted(point)
    assert journal.held == ()


def test_what_others_did_meanwhile_is_respected(mounted, identify, request_for, journal, run, device, mount):
    _, point = mounted()
    plugin.snapshot(volume=identify(point), request=request_for("unmount")).open_reader()
    (left,) = journal.held
    rebooted = {**left.data, "boot": "another"}
    assert unmounted.undo(Kernel(), rebooted).state is UndoState.ABSENT
    other = {**left.data, "identity": "another"}
    assert unmounted.undo(Kernel(), other).state is UndoState.REFUSED
    run("mount", "-t", "tmpfs", "tmpfs", point)
    undone = unmounted.undo(Kernel(), left.data)
    run("umount", point)
    assert (undone.state, undone.detail) == (
        UndoState.REFUSED,
        f"something else is mounted on {point} now (tmpfs from tmpfs)",
    )
    assert not is_mounted(point)
