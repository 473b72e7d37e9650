"""From what the user named to a volume, and the list of all of them."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Final

import attrs

from holdstill.errors import VolumeUnusable
from holdstill.model.volume import VolumeFacts, VolumeKind
from holdstill_platforms.linux import ioctls, mountinfo, proc, refusals, stack, sysfs, usage
from holdstill_platforms.linux.host import Host, ground_at
from holdstill_platforms.linux.stack import Storey
from holdstill_platforms.linux.sysfs import Node
from holdstill_platforms.linux.volume import LinuxVolume

#: memory that looks like a disk
_IN_MEMORY: Final = ("ram", "zram")


def identify(path: str) -> LinuxVolume:
    """The volume behind a block device, a mount point or a plain file.

    Raises ``VolumeMissing``, ``VolumeDenied``, ``VolumeUnusable``.
    """
    try:
        status = Path(path).stat()
    except ValueError:
        raise refusals.of_opening(path, OSError(errno.ENOENT, "")) from None
    except OSError as error:
        raise refusals.of_opening(path, error) from error
    host = Host.look()
    if stat.S_ISBLK(status.st_mode):
        return _device(host, path, os.path.realpath(path), status.st_rdev)
    if stat.S_ISREG(status.st_mode):
        return _file(host, path, status)
    if stat.S_ISDIR(status.st_mode):
        return _mounted(host, path)
    raise VolumeUnusable(
        f"it is {_kind(status.st_mode)}, not a volume", subject=path, next_step="name a block device or an image file"
    )


def every_volume() -> list[VolumeFacts]:
    """Every block device that has a size. Opens none of them: a disk may be asleep, a drive may spin up.

    So what only an exclusive open would tell (``identify`` does) is not in ``holders``.
    """
    host = Host.look()
    return [
        _facts(host, node, node.node, node.node, node.size, usage.of(host, node.device))
        for node in sysfs.every_node(host.sys)
        if not node.name.startswith(_IN_MEMORY) and node.size
    ]


def _device(host: Host, path: str, device: str, number: int) -> LinuxVolume:
    node = host.node(number)
    if node is None:
        raise VolumeUnusable("the kernel knows no such device", subject=path, next_step="look at `holdstill volumes`")
    found = usage.of(host, number)
    size = _device_size(path, device)
    if not size:
        raise VolumeUnusable("there is nothing in this device", subject=path, next_step="attach or insert something")
    if not found and _held_exclusively(device):
        found = attrs.evolve(found, holders=("something that holds it exclusively",))
    return LinuxVolume(_facts(host, node, path, device, size, found), number)


def _device_size(path: str, device: str) -> int:
    try:
        fd = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise refusals.of_opening(path, error) from error
    try:
        return ioctls.device_size(fd)
    except OSError as error:
        raise refusals.of_opening(path, error) from error
    finally:
        os.close(fd)


def _held_exclusively(device: str) -> bool:
    """The kernel's final word: does an exclusive open fail?"""
    try:
        os.close(os.open(device, os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC))
    except OSError as error:
        return error.errno == errno.EBUSY
    return False


def _mounted(host: Host, path: str) -> LinuxVolume:
    """``path`` must be where something is mounted: any other directory would be taken for more than it is."""
    row = mountinfo.row_at(path, host.own_rows)
    if row is None or row.path != os.path.realpath(path):
        raise VolumeUnusable(
            "it is a directory and nothing is mounted on it",
            subject=path,
            next_step="name the device, its mount point, or an image file",
        )
    devices = sorted(ground for ground in host.grounds_of(row) if isinstance(ground, int))
    if len(devices) != 1 or (node := host.node(devices[0])) is None:
        raise VolumeUnusable(
            f"this {row.filesystem} stands on {len(devices) or 'no'} block devices, not on one",
            subject=path,
            next_step="name each of its devices" if devices else "name a file system that has a device",
        )
    if ground_at(node.node) != node.device:
        raise VolumeUnusable(
            f"there is no device node {node.node} for it", subject=path, next_step="make the node, or name another"
        )
    return _device(host, path, node.node, node.device)


def _file(host: Host, path: str, status: os.stat_result) -> LinuxVolume:
    real = os.path.realpath(path)
    try:
        os.close(os.open(real, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        raise refusals.of_opening(path, error) from error
    ground = (status.st_dev, status.st_ino)
    found = usage.of(host, ground)
    facts = VolumeFacts(
        path=path,
        device=real,
        kind=VolumeKind.FILE,
        size=status.st_size,
        mounts=found.mounts,
        nested=found.nested,
        holders=found.holders,
        layers=stack.layers(host, Storey(ground, real)),
        identity=real,
    )
    return LinuxVolume(facts, ground)


def _facts(host: Host, node: Node, path: str, device: str, size: int, found: usage.Usage) -> VolumeFacts:
    return VolumeFacts(
        path=path,
        device=device,
        kind=VolumeKind.BLOCK,
        size=size,
        logical_sector=node.logical_sector,
        physical_sector=node.physical_sector,
        mounts=found.mounts,
        nested=found.nested,
        holders=found.holders,
        layers=stack.layers(host, Storey(node.device)),
        serial=node.serial or node.wwid,
        identity=identity(node),
        facts=_more(node),
    )


def identity(node: Node) -> str:
    """What stays the same when the disks come up in another order at the next boot, if there is such a thing."""
    part = f"-part{proc.line(node.home / 'partition')}" if node.is_partition else ""
    for kind, value in (
        ("dm", node.mapped_uuid),
        ("md", node.array_uuid),
        ("partuuid", _partition_uuid(node) if part else ""),
        ("wwid", node.wwid),
        ("serial", node.serial),
    ):
        if value:
            return f"{kind}:{value}" + (part if kind in ("wwid", "serial") else "")
    if node.backing_file:
        return node.backing_file + (f"@{node.loop_offset}" if node.loop_offset else "")
    return f"device:{node.node}"


def _partition_uuid(node: Node) -> str:
    """From the kernel where it says so (6.10 and later), else from the links udev keeps."""
    links = "/dev/disk/by-partuuid"
    return node.event.get("PARTUUID") or next(
        (name for name in proc.names(links) if ground_at(f"{links}/{name}") == node.device), ""
    )


def _more(node: Node) -> dict[str, str]:
    names = sysfs.lvm_names(node.mapped_name) if node.mapped_uuid.startswith("LVM-") else None
    told = {
        "dm_name": node.mapped_name,
        "dm_uuid": node.mapped_uuid,
        "vg": names[0] if names else "",
        "lv": names[1] if names else "",
        "read_only": "yes" if node.read_only else "",
    }
    return {key: value for key, value in told.items() if value}


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISCHR, "a character device"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))
    return next((said for test, said in kinds if test(mode)), "something unknown")
