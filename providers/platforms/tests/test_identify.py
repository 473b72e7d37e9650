"""What a path is, on the real system."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from holdstill.errors import VolumeDenied, VolumeMissing, VolumeUnusable
from holdstill.model.volume import VolumeKind
from holdstill_platforms.linux.identify import every_volume, identify

MIB = 1 << 20


def test_a_plain_file(noisy) -> None:
    image = noisy(MIB + 17)

    facts = identify(str(image)).facts

    assert (facts.kind, facts.size, facts.device) == (VolumeKind.FILE, MIB + 17, str(image))
    assert facts.identity == str(image)
    assert not facts.in_use
    assert facts.layers[0].kind == "file"


def test_a_link_to_a_file_is_the_file(noisy, tmp_path: Path) -> None:
    image = noisy(4096)
    (tmp_path / "link").symlink_to(image)

    facts = identify(str(tmp_path / "link")).facts

    assert (facts.path, facts.device, facts.identity) == (str(tmp_path / "link"), str(image), str(image))


@pytest.mark.parametrize("name", ["no-such", "file/below", "nul\0l", "x" * 300])
def test_what_is_not_there(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(VolumeMissing) as told:
        identify(f"{tmp_path}/{name}")
    assert told.value.next_step


def test_what_is_no_volume(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        for path, said in ((tmp_path / "pipe", "pipe"), (tmp_path / "socket", "socket"), ("/dev/null", "character")):
            with pytest.raises(VolumeUnusable, match=said):
                identify(str(path))


def test_a_directory_is_only_a_volume_where_something_is_mounted(tmp_path: Path) -> None:
    with pytest.raises(VolumeUnusable, match="nothing is mounted on it") as told:
        identify(str(tmp_path))
    assert "mount point" in told.value.next_step


def test_a_mount_without_a_device() -> None:
    with pytest.raises(VolumeUnusable, match="proc"):
        identify("/proc")


@pytest.mark.root
def test_who_may_not(noisy) -> None:
    image = noisy(4096)
    image.chmod(0o600)
    for folder in (image.parent, image.parent.parent, image.parent.parent.parent):
        folder.chmod(folder.stat().st_mode | 0o055)
    child = os.fork()
    if child == 0:
        os.setuid(65534)
        try:
            identify(str(image))
        except VolumeDenied as error:
            os._exit(0 if "root" in error.next_step else 2)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.root
def test_a_loop_device_and_links_to_it(noisy, attach, tmp_path: Path) -> None:
    image = noisy(MIB)
    device = attach(image)
    (tmp_path / "by-name").symlink_to(device)

    for path in (device, str(tmp_path / "by-name")):
        facts = identify(path).facts
        assert (facts.path, facts.device, facts.kind, facts.size) == (path, device, VolumeKind.BLOCK, MIB)
        assert (facts.logical_sector, facts.physical_sector) == (512, 512)
        assert [layer.kind for layer in facts.layers[:2]] == ["loop", "file"]
        assert facts.identity == str(image)
        assert not facts.in_use


@pytest.mark.root
def test_sectors_are_the_devices_own(noisy, attach) -> None:
    facts = identify(attach(noisy(MIB), "--sector-size", "4096")).facts

    assert (facts.logical_sector, facts.physical_sector) == (4096, 4096)


@pytest.mark.root
def test_a_device_with_nothing_in_it(noisy, attach, undo) -> None:
    device = attach(noisy(MIB))
    subprocess.run(("losetup", "--detach", device), check=True)
    undo.pop_all()

    with pytest.raises(VolumeUnusable, match="nothing in this device"):
        identify(device)


@pytest.mark.root
def test_a_node_of_no_device(tmp_path: Path) -> None:
    os.mknod(tmp_path / "node", 0o600 | stat.S_IFBLK, os.makedev(240, 77))

    with pytest.raises(VolumeUnusable, match="no such device"):
        identify(str(tmp_path / "node"))


@pytest.mark.root
@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs"])
def test_a_mount_point_is_the_device_behind_it(kind: str, tmp_path: Path, attach, mount) -> None:
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(320 * MIB)
    subprocess.run((f"mkfs.{kind}", "-q", str(image)), check=True)
    device = attach(image)
    point = mount(device, "a place \\ with\tmarks")

    facts = identify(point).facts

    assert (facts.path, facts.device) == (point, device)
    assert [(found.path, found.filesystem, found.read_only) for found in facts.mounts] == [(point, kind, False)]
    assert identify(device).facts.mounts == facts.mounts


@pytest.mark.root
def test_a_bind_mount_of_a_part_is_the_whole_device(ext4, mount, tmp_path: Path) -> None:
    _, device = ext4()
    point = mount(device, "all", "-o", "ro")
    subprocess.run(("mount", "-o", "remount,rw", point), check=True)
    (Path(point) / "part").mkdir()
    part = mount(f"{point}/part", "bound", "--bind")

    facts = identify(part).facts

    assert facts.device == device
    assert {(found.path, found.root) for found in facts.mounts} == {(point, "/"), (part, "/part")}
    with pytest.raises(VolumeUnusable, match="nothing is mounted on it"):
        identify(f"{point}/part")


@pytest.mark.root
def test_a_read_only_mount_is_told(ext4, mount) -> None:
    _, device = ext4()
    mount(device, "ro", "-o", "ro")

    assert [found.read_only for found in identify(device).facts.mounts] == [True]


@pytest.mark.root
def test_the_upper_of_two_mounts_at_one_place(ext4, mount) -> None:
    lower, upper = ext4("lower")[1], ext4("upper")[1]
    point = mount(lower, "same")
    mount(upper, "same")

    assert identify(point).facts.device == upper
    assert [found.path for found in identify(lower).facts.nested] == [point]


@pytest.mark.root
def test_the_list_has_the_mounts(ext4, mount) -> None:
    _, device = ext4()
    point = mount(device, "listed")

    (facts,) = [volume for volume in every_volume() if volume.device == device]

    assert (facts.size, facts.mounts[0].path) == (32 * MIB, point)
