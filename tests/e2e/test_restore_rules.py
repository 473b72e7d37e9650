"""What a restore leaves to its target, what it does about file systems that need mending, and the mount put back."""

import os
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

from holdstill import Mode, RestoreRequest
from holdstill.engine import Engine
from holdstill.errors import Cancelled, VolumeBusy
from holdstill.model.events import Warned
from holdstill.model.fsck import FilesystemState
from holdstill.pipeline.writing import ImageWriter
from holdstill.spi.restore import RestoreTarget
from holdstill_platforms.linux.volume import LinuxVolume
from holdstill_testing import volumes
from holdstill_testing.between import PutBetween
from holdstill_testing.conversations import Agreeing
from holdstill_testing.workbench import Workbench

pytestmark = pytest.mark.root

CONTROL_BLOCK = b"AIX LVCB\0\0jfs2".ljust(512, b"\xa5")


@pytest.fixture
def target(volume, tmp_path):
    """A device of the size of the volume, full of something else."""
    image = tmp_path / "target"
    image.write_bytes(os.urandom(volume.stat().st_size))
    with volumes.attached(image) as device:
        yield device


def put(device, offset, content):
    with open(device, "r+b") as file:
        file.seek(offset)
        file.write(content)
        os.fsync(file.fileno())


# --- the first sector ----------------------------------------------------------------------------


def of_aix(volume):
    """The same, as the platform of AIX would have it."""
    if isinstance(volume, LinuxVolume):
        return attrs.evolve(volume, facts=attrs.evolve(volume.facts, facts={**volume.facts.facts, "system": "AIX"}))
    return volume


@pytest.fixture
def aix(bench):
    return Workbench(Engine(PutBetween(volume=of_aix), str(bench.state)), bench.repository, bench.state)


def test_the_control_block_of_a_logical_volume_stays_the_targets(aix, volume, target, tmp_path):
    put(volume, 0, CONTROL_BLOCK.replace(b"\xa5", b"\x5a"))
    put(target, 0, CONTROL_BLOCK)
    image = aix.back_up(volume, as_raw=True).image

    result = aix.restore(image, target)

    assert result.proved
    assert "the first 512 bytes are the control block" in result.notes[-1]
    assert Path(target).read_bytes() == CONTROL_BLOCK + volume.read_bytes()[512:]
    aix.restore(image, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == volume.read_bytes()


def test_a_first_sector_that_is_no_control_block_is_the_images(aix, volume, target):
    put(volume, 0, CONTROL_BLOCK)
    image = aix.back_up(volume, as_raw=True).image

    assert aix.restore(image, target).proved
    assert Path(target).read_bytes() == volume.read_bytes()


def test_where_nobody_keeps_control_blocks_nothing_is_kept(bench, volume, target):
    put(target, 0, CONTROL_BLOCK)

    assert bench.restore(bench.back_up(volume).image, target).proved
    assert volumes.digest(target) == bench.due(volume)


# --- file systems that need mending --------------------------------------------------------------


def hurt(volume):
    """Blocks in use that are marked free, as when a bitmap was read before a file was written."""
    subprocess.run(["debugfs", "-w", "-R", "freeb 200 300", volume], check=True, capture_output=True)
    assert not is_clean(volume)


def is_clean(device):
    return subprocess.run(["e2fsck", "-fn", device], capture_output=True).returncode == 0


def test_a_fuzzy_image_asks_for_fsck(bench, volume, target):
    image = bench.back_up(volume, mode=Mode.DYNAMIC).image

    result = bench.restore(image, target)

    assert result.fsck is None
    assert "check and mend its file system (fsck, or restore --fsck)" in result.notes[0]


def test_fsck_mends(bench, volume, target):
    hurt(volume)
    image = bench.back_up(volume, mode=Mode.DYNAMIC).image

    result = bench.restore(image, target, fsck=True)

    assert (result.proved, result.fsck.state) == (True, FilesystemState.MENDED)
    assert result.fsck.commands == (
        f"e2fsck -f -n {target} (4)",
        f"e2fsck -f -y {target} (1)",
        f"e2fsck -f -n {target} (0)",
    )
    assert (result.notes, result.warnings) == ((), ())
    assert is_clean(target)


def test_fsck_of_what_is_clean_changes_nothing(bench, volume, target):
    result = bench.restore(bench.back_up(volume).image, target, fsck=True)

    assert result.fsck.state is FilesystemState.CLEAN
    assert result.fsck.commands == (f"e2fsck -f -n {target} (0)",)
    assert volumes.digest(target) == bench.due(volume)


@pytest.mark.parametrize(
    ("size", "make"),
    [
        (64, ["mkfs.vfat"]),
        (64, ["mkfs.exfat"]),
        (320, ["mkfs.xfs", "-q"]),
        (128, ["mkfs.btrfs", "-q"]),
        (64, ["mkfs.jfs", "-q"]),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_every_checker_knows_its_clean_file_system(bench, tmp_path, size, make):
    path = volumes.sparse(tmp_path / "volume", size << 20)
    subprocess.run([*make, path], check=True, capture_output=True)

    result = bench.restore(bench.back_up(path).image, tmp_path / "file", fsck=True)

    assert result.fsck.state is FilesystemState.CLEAN, result.fsck


def test_what_cannot_be_mended_is_a_warning(bench, tmp_path):
    path = volumes.sparse(tmp_path / "volume", 128 << 20)
    subprocess.run(["mkfs.btrfs", "-q", path], check=True, capture_output=True)
    put(path, 5 << 20, os.urandom(60 << 20))

    result = bench.restore(bench.back_up(path).image, tmp_path / "file", fsck=True)

    assert result.fsck.state is FilesystemState.DAMAGED
    assert result.warnings[0].startswith("its file system is damaged: its check says: ")


@pytest.mark.parametrize(
    ("make", "said"), [(["mkswap"], "no installed plugin checks swap"), (["true"], "no file system that is known")]
)
def test_what_has_no_checker(bench, tmp_path, make, said):
    path = volumes.sparse(tmp_path / "volume", 16 << 20)
    subprocess.run([*make, path], check=True, capture_output=True)

    result = bench.restore(bench.back_up(path).image, tmp_path / "file", fsck=True)

    assert result.fsck.state is FilesystemState.UNCHECKED
    assert said in result.fsck.said


# --- the mount -----------------------------------------------------------------------------------


@pytest.fixture
def mounted(volume):
    """A device with the volume on it, mounted with an option of its own; where."""
    with volumes.attached(volume) as device, volumes.mounted(device, "-o", "noatime") as place:
        yield device, place


def options_at(place):
    found = subprocess.run(["findmnt", "-no", "OPTIONS", place], capture_output=True, text=True).stdout
    return found.strip().split(",")


@pytest.mark.parametrize("by", ["device", "place"])
def test_a_mounted_target_is_mounted_again_as_it_was(bench, mounted, by):
    device, place = mounted
    image = bench.back_up(device, mode=Mode.STATIC).image
    (place / "later").write_text("not in the image")
    before = options_at(place)

    result = bench.restore(image, device if by == "device" else place, unmount=True)

    assert (result.proved, result.mounted) == (True, (str(place),))
    assert options_at(place) == before
    assert "noatime" in before
    assert not (place / "later").exists()
    assert volumes.hashes(place)
    assert bench.nothing_is_held()


def test_a_fuzzy_image_is_not_mounted_before_it_was_checked(bench, mounted):
    device, place = mounted
    image = bench.back_up(device, mode=Mode.DYNAMIC).image

    result = bench.restore(image, device, unmount=True)

    assert result.mounted == ()
    assert result.notes[-1] == "it is not mounted again: the image is fuzzy and was not checked"
    assert not os.path.ismount(place)
    assert bench.nothing_is_held()
    subprocess.run(["mount", "-o", "noatime", device, place], check=True)
    assert bench.restore(image, device, unmount=True, fsck=True).mounted == (str(place),)
    assert os.path.ismount(place)


def test_half_a_restore_is_mounted_by_nobody(bench, mounted, monkeypatch):
    device, place = mounted
    image = bench.back_up(device, mode=Mode.STATIC).image

    def ended(self, meter):
        raise Cancelled("enough")

    monkeypatch.setattr(ImageWriter, "write", ended)
    with pytest.raises(Cancelled):
        bench.restore(image, device, unmount=True)

    assert not os.path.ismount(place)
    assert bench.nothing_is_held()


def test_what_cannot_be_written_to_is_mounted_as_before(bench, mounted, monkeypatch):
    device, place = mounted
    image = bench.back_up(device, mode=Mode.STATIC).image

    def busy(self):
        raise VolumeBusy("somebody was faster", subject=device)

    monkeypatch.setattr(LinuxVolume, "open_writer", busy)
    with pytest.raises(VolumeBusy, match="somebody was faster"):
        bench.restore(image, device, unmount=True)

    assert os.path.ismount(place)
    assert bench.nothing_is_held()


KILLED = """
import os, signal, sys
from holdstill import RestoreRequest
from holdstill.engine import Engine
from holdstill.pipeline.proving import Prover
from holdstill_static_unmount.still import StaticStill
from holdstill_platforms.linux.volume import LinuxVolume
from holdstill_testing.conversations import Agreeing
state, url, image, device, where, what = sys.argv[1:]
setattr(globals()[where], what, lambda *given: os.kill(os.getpid(), signal.SIGKILL))
Engine(state=state).restore(url, RestoreRequest(image, to_volume=device, unmount=True), Agreeing())
"""


@pytest.mark.parametrize("before_writing", [True, False])
def test_a_killed_restore_that_had_unmounted_is_recovered_unless_something_was_written(bench, mounted, before_writing):
    """Killed before its proof it could be mounted: all is written. Nobody knows whether it is true."""
    device, place = mounted
    image = bench.back_up(device, mode=Mode.STATIC).image
    before = options_at(place)
    at = ("LinuxVolume", "open_writer") if before_writing else ("Prover", "prove")

    subprocess.run([sys.executable, "-c", KILLED, bench.state, bench.url, image, device, *at])
    assert not os.path.ismount(place)
    (found,) = bench.engine.recover(Agreeing())

    assert found.gone
    assert ("left unmounted" in found.detail) != before_writing
    assert os.path.ismount(place) == before_writing
    if before_writing:
        assert options_at(place) == before
    assert bench.nothing_is_held()


def test_a_restore_that_is_killed_while_it_mounts_again_is_mounted_by_recover(bench, mounted):
    """It was proved."""
    device, place = mounted
    image = bench.back_up(device, mode=Mode.STATIC).image
    before = options_at(place)
    (place / "later").write_text("not in the image")
    at = ("StaticStill", "release")

    subprocess.run([sys.executable, "-c", KILLED, bench.state, bench.url, image, device, *at])
    assert not os.path.ismount(place)

    assert [each.gone for each in bench.engine.recover(Agreeing())] == [True]
    assert options_at(place) == before
    assert not (place / "later").exists()


@pytest.fixture
def unrepeatable(mounted, tmp_path):
    """Mounted also by a bind mount of a directory that is gone."""
    _, place = mounted
    (place / "part").mkdir()
    (tmp_path / "bound").mkdir()
    subprocess.run(["mount", "--bind", place / "part", tmp_path / "bound"], check=True)
    (place / "part").rmdir()
    yield mounted
    subprocess.run(["umount", tmp_path / "bound"], capture_output=True)


def test_a_target_with_a_mount_that_cannot_be_repeated_is_unmounted_and_says_so(bench, unrepeatable):
    device, place = unrepeatable
    image = bench.back_up(device, mode=Mode.DYNAMIC).image
    request = RestoreRequest(image, to_volume=device, unmount=True, fsck=True)

    result = bench.engine.restore(bench.url, request, Agreeing())

    assert result.mounted == ()
    assert "it is not mounted again: " in result.notes[-1]
    assert "deleted" in result.notes[-1]
    assert not os.path.ismount(place)


def test_what_was_unmounted_so_and_cannot_be_written_to_is_told(bench, unrepeatable, monkeypatch):
    device, place = unrepeatable
    image = bench.back_up(device, mode=Mode.DYNAMIC).image
    talk = Agreeing()

    def busy(self):
        raise VolumeBusy("somebody was faster", subject=device)

    monkeypatch.setattr(LinuxVolume, "open_writer", busy)
    with pytest.raises(VolumeBusy, match="somebody was faster"):
        bench.engine.restore(bench.url, RestoreRequest(image, to_volume=device, unmount=True), talk)

    assert not os.path.ismount(place)
    (said,) = [event.message for event in talk.told if isinstance(event, Warned)]
    assert str(place) in said
    assert "is left unmounted: " in said


class Log(RestoreTarget):
    """What a person must see to first."""

    def objections(self):
        return ()

    def by_hand_first(self):
        return "its log must be formatted first"


class Asking(PutBetween):
    def restore(self, image, target, runner=None):
        return [*super().restore(image, target, runner), Log()]


@pytest.mark.parametrize("fsck", [False, True])
def test_what_a_person_must_see_to_first_is_neither_mounted_nor_checked(bench, mounted, fsck):
    device, place = mounted
    image = bench.back_up(device, mode=Mode.STATIC).image
    asking = Workbench(Engine(Asking(), str(bench.state)), bench.repository, bench.state)

    result = asking.restore(image, device, unmount=True, fsck=fsck)

    assert result.proved
    assert result.mounted == ()
    assert "it is not mounted again: " in result.notes[-1]
    assert not os.path.ismount(place)
    assert bench.nothing_is_held()
    if fsck:
        assert (result.fsck.state, result.fsck.commands) == (FilesystemState.UNCHECKED, ())
        assert "its log must be formatted first" in result.fsck.said
