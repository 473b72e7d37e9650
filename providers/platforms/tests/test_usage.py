"""Who uses a volume: mounts everywhere, holders of every kind, and what the kernel's last word adds."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from holdstill.errors import VolumeBusy
from holdstill_platforms.linux import processes
from holdstill_platforms.linux.identify import identify

MIB = 1 << 20

pytestmark = pytest.mark.root


def test_a_file_is_used_through_its_loop_device(ext4, mount) -> None:
    image, device = ext4()
    assert identify(str(image)).facts.holders == (Path(device).name,)
    point = mount(device, "there")

    facts = identify(str(image)).facts

    assert [found.path for found in facts.mounts] == [point]
    assert [(layer.kind, layer.name) for layer in facts.layers[:2]] == [
        ("file", str(image)),
        ("loop", Path(device).name),
    ]


def test_a_file_is_known_by_another_name(ext4) -> None:
    image, device = ext4()
    other = image.with_name("other")
    other.hardlink_to(image)
    image.unlink()

    assert identify(str(other)).facts.holders == (Path(device).name,)


def test_a_loop_device_on_a_device(ext4, attach, mount) -> None:
    image, lower = ext4()
    upper = attach(lower)
    point = mount(upper, "high")

    for volume in (lower, str(image)):
        facts = identify(volume).facts
        assert [found.path for found in facts.mounts] == [point]
        assert Path(lower if volume != lower else upper).name in facts.holders[0]
    assert [layer.kind for layer in identify(upper).facts.layers[:3]] == ["loop", "loop", "file"]


def test_mounts_below_are_told(ext4, mount) -> None:
    outer, inner = ext4("outer")[1], ext4("inner")[1]
    mount(outer, "m")
    point = mount(inner, "m/deep")

    facts = identify(outer).facts

    assert [found.path for found in facts.nested] == [point]
    assert identify(inner).facts.nested == ()


def test_mounts_in_another_namespace(ext4, mount, elsewhere) -> None:
    _, device = ext4()
    point = mount(device, "m")
    stranger = elsewhere()
    subprocess.run(("umount", point), check=True)

    facts = identify(device).facts

    assert [(found.path, found.namespace) for found in facts.mounts] == [(point, str(stranger))]
    with pytest.raises(VolumeBusy, match=f"in the namespace of process {stranger}"):
        identify(device).open_reader(exclusive=True)


def test_a_disk_whose_partition_is_mounted(tmp_path: Path, attach, partition, mount) -> None:
    image = tmp_path / "disk"
    with image.open("wb") as file:
        file.truncate(64 * MIB)
    disk = attach(image, "--partscan")
    part = partition(disk, 1, MIB, 32 * MIB)
    other = partition(disk, 2, 40 * MIB, 8 * MIB)
    subprocess.run(("mkfs.ext4", "-q", part), check=True)
    point = mount(part, "m")

    assert identify(disk).facts.holders == (f"{Path(part).name} (mounted on {point})",)
    assert identify(str(image)).facts.holders == (Path(disk).name, f"{Path(part).name} (mounted on {point})")
    facts = identify(point).facts
    assert (facts.device, facts.size) == (part, 32 * MIB)
    assert [layer.kind for layer in facts.layers[:3]] == ["partition", "loop", "file"]
    assert not identify(other).facts.in_use
    with pytest.raises(VolumeBusy, match=r"mounted on"):
        identify(disk).open_writer()


def test_a_partition_of_a_disk_in_use(tmp_path: Path, attach, partition, mount) -> None:
    image = tmp_path / "disk"
    with image.open("wb") as file:
        file.truncate(64 * MIB)
    subprocess.run(("mkfs.ext4", "-q", str(image)), check=True)
    disk = attach(image, "--partscan")
    part = partition(disk, 1, 32 * MIB, 16 * MIB)
    point = mount(disk, "m")

    assert identify(part).facts.holders == (f"its disk {Path(disk).name} (mounted on {point})",)


def test_swap(noisy, attach, undo) -> None:
    image = noisy(16 * MIB)
    subprocess.run(("mkswap", "-q", str(image)), check=True)
    device = attach(image)
    subprocess.run(("swapon", device), check=True)
    undo.callback(subprocess.run, ("swapoff", device))

    assert identify(device).facts.holders == ("swap",)
    assert identify(str(image)).facts.holders == (Path(device).name, f"swap on {Path(device).name}")
    with pytest.raises(VolumeBusy, match="swap"):
        identify(device).open_writer()


def test_a_btrfs_over_two_devices(tmp_path: Path, attach, mount) -> None:
    devices = []
    for name in ("one", "two"):
        with (tmp_path / name).open("wb") as file:
            file.truncate(128 * MIB)
        devices.append(attach(tmp_path / name))
    subprocess.run(("mkfs.btrfs", "-q", "-f", *devices), check=True)
    subprocess.run(("btrfs", "device", "scan", *devices), check=True, capture_output=True)
    point = mount(devices[0], "m")

    for device in devices:
        assert [found.path for found in identify(device).facts.mounts] == [point]
    assert all(identify(device).carries(f"{point}/new/file") for device in devices)


def test_what_only_an_exclusive_open_tells(noisy, attach, undo) -> None:
    device = attach(noisy(MIB))
    fd = os.open(device, os.O_RDONLY | os.O_EXCL)
    undo.callback(os.close, fd)

    assert identify(device).facts.holders == ("something that holds it exclusively",)


def test_processes_that_have_it_open(noisy, attach, undo) -> None:
    image = noisy(MIB)
    device = attach(image)
    with subprocess.Popen(("sh", "-c", f"exec 7<>{device} 8<{image}; echo open; exec sleep 300"), stdout=-1) as holder:
        undo.callback(holder.kill)
        holder.stdout.readline()
        status = image.stat()

        (on_device,) = processes.openers(os.stat(device).st_rdev, device)
        (on_file,) = processes.openers((status.st_dev, status.st_ino), str(image))

        assert (on_device.process, on_device.writes) == (holder.pid, True)
        assert (on_file.process, on_file.writes) == (holder.pid, False)
        with pytest.raises(VolumeBusy, match=rf"sleep \(process {holder.pid}, for writing\)"):
            identify(device).open_reader(exclusive=True)
        holder.kill()


def test_a_program_in_passing_holds_nothing(noisy, attach, undo) -> None:
    """`losetup --find` opens what it finds; here one has it open at the first look and not at the second."""
    device = attach(noisy(MIB))
    with subprocess.Popen(("sh", "-c", f"exec 7<>{device}; echo open; read gone"), stdin=-1, stdout=-1) as passing:
        undo.callback(passing.kill)
        passing.stdout.readline()
        looks = []
        undo.enter_context(pytest.MonkeyPatch.context()).setattr(
            processes.time, "sleep", lambda _: looks or (looks.append(1), passing.kill(), passing.wait())
        )
        identify(device).open_reader(exclusive=True).close()
        assert looks


def test_what_lives_where(ext4, mount, tmp_path: Path) -> None:
    image, device = ext4()
    point = mount(device, "m")
    (Path(point) / "link").symlink_to(tmp_path)
    inner = Path(point) / "inner.img"
    with inner.open("wb") as file:
        file.truncate(MIB)

    for volume in (identify(device), identify(str(image))):
        assert volume.carries(point)
        assert volume.carries(f"{point}/not/there/yet")
        assert volume.carries(str(inner))
        assert not volume.carries(f"{point}/link/x")
        assert not volume.carries(str(tmp_path))
        assert not volume.carries("/proc/self")
        assert not volume.carries("/no/such/place")
    assert not identify(str(image)).carries(str(image.parent))


def test_what_lives_on_it_through_more_layers(ext4, mount, attach, undo) -> None:
    image, device = ext4(size=64 * MIB)
    point = mount(device, "m")
    inner = Path(point) / "inner.img"
    with inner.open("wb") as file:
        file.truncate(16 * MIB)
    subprocess.run(("mkfs.ext4", "-q", str(inner)), check=True)
    second = mount(attach(inner), "second")
    overlaid = mount("overlay", "over", "-t", "overlay", "-o", _overlay(Path(second)))

    for volume in (str(image), device, str(inner)):
        assert identify(volume).carries(second)
        assert identify(volume).carries(f"{overlaid}/x")


def _overlay(base: Path) -> str:
    for name in ("lower", "upper", "work"):
        (base / name).mkdir()
    return f"lowerdir={base}/lower,upperdir={base}/upper,workdir={base}/work"


def test_a_disk_carries_what_its_partitions_carry(tmp_path: Path, attach, partition, mount) -> None:
    image = tmp_path / "disk"
    with image.open("wb") as file:
        file.truncate(64 * MIB)
    disk = attach(image, "--partscan")
    part, other = partition(disk, 1, MIB, 32 * MIB), partition(disk, 2, 40 * MIB, 8 * MIB)
    subprocess.run(("mkfs.ext4", "-q", part), check=True)
    point = mount(part, "m")

    assert identify(disk).carries(point)
    assert identify(str(image)).carries(point)
    assert identify(part).carries(point)
    assert not identify(other).carries(point)
