"""Block devices as sysfs describes them (Documentation/ABI/stable/sysfs-block). Nothing here opens a device."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import attrs

from holdstill_platforms.linux import proc

SECTOR: Final = 512
"""sysfs counts in these, whatever the device's own sector is."""


@attrs.frozen
class Node:
    """One block device: its directory in sysfs. Attributes are read when asked for; what is missing is empty."""

    home: Path
    device: int
    """``st_rdev`` of its node."""

    @property
    def name(self) -> str:
        """The kernel's name: ``sda1``, ``dm-3``."""
        return self.home.name

    @property
    def node(self) -> str:
        """The path of its device node, as devtmpfs names it."""
        return "/dev/" + self.event.get("DEVNAME", self.name.replace("!", "/"))

    @property
    def event(self) -> dict[str, str]:
        """What the kernel tells udev of it."""
        pairs = (line.partition("=") for line in proc.text(self.home / "uevent", 1 << 16).splitlines())
        return {key: value for key, _, value in pairs}

    @property
    def size(self) -> int:
        """Bytes."""
        return proc.number(self.home / "size") * SECTOR

    @property
    def is_partition(self) -> bool:
        """Is it part of a disk?"""
        return (self.home / "partition").exists()

    @property
    def disk(self) -> Node | None:
        """The whole disk that this partition is part of."""
        return node_in(self.home.parent) if self.is_partition else None

    @property
    def partitions(self) -> list[Node]:
        """The partitions of this disk."""
        inside = (self.home / name for name in proc.names(self.home))
        return [part for path in inside if (path / "partition").exists() and (part := node_in(path)) is not None]

    @property
    def below(self) -> list[Node]:
        """What it is made of: a partition of its disk, a mapped or striped device of its slaves."""
        disk = self.disk
        return ([disk] if disk else []) + self._linked("slaves")

    @property
    def above(self) -> list[Node]:
        """Devices made of it."""
        return self._linked("holders")

    def _linked(self, folder: str) -> list[Node]:
        paths = (self.home / folder / name for name in proc.names(self.home / folder))
        return [found for path in paths if (found := node_in(path)) is not None]

    @property
    def mapped_name(self) -> str:
        """The device-mapper name."""
        return proc.line(self.home / "dm/name")

    @property
    def mapped_uuid(self) -> str:
        """The device-mapper UUID, whose prefix says whose it is: ``LVM-``, ``CRYPT-``, ``mpath-``."""
        return proc.line(self.home / "dm/uuid")

    @property
    def array_uuid(self) -> str:
        """The UUID of an md array."""
        return proc.line(self.home / "md/uuid")

    @property
    def backing_file(self) -> str:
        """The file behind a loop device, as the kernel names it; empty if it is none or not attached."""
        return proc.line(self.home / "loop/backing_file")

    @property
    def loop_offset(self) -> int:
        """Where in its file a loop device begins, bytes."""
        return proc.number(self.home / "loop/offset")

    @property
    def logical_sector(self) -> int:
        """Bytes."""
        return proc.number(self._whole / "queue/logical_block_size") or SECTOR

    @property
    def physical_sector(self) -> int:
        """Bytes."""
        return proc.number(self._whole / "queue/physical_block_size") or self.logical_sector

    @property
    def read_only(self) -> bool:
        """Does the kernel refuse writes to it?"""
        return proc.number(self.home / "ro") == 1

    @property
    def serial(self) -> str:
        """The drive's serial number."""
        return proc.line(self._whole / "serial") or proc.line(self._whole / "device/serial")

    @property
    def wwid(self) -> str:
        """The drive's worldwide name, as NVMe or SCSI give it."""
        return proc.line(self._whole / "wwid") or proc.line(self._whole / "device/wwid")

    @property
    def written(self) -> tuple[int, ...]:
        """Counters that move when somebody writes or discards (Documentation/block/stat.rst: sectors written,
        sectors discarded). Empty where the device keeps none.
        """
        fields = proc.line(self.home / "stat").split()
        return tuple(int(fields[at]) for at in (6, 13) if at < len(fields) and fields[at].isdigit())

    @property
    def _whole(self) -> Path:
        return self.home.parent if self.is_partition else self.home


def node_in(path: Path) -> Node | None:
    """The device whose sysfs directory (or a link to it) this is."""
    major, _, minor = proc.line(path / "dev").partition(":")
    if not (major.isdigit() and minor.isdigit()):
        return None
    try:
        return Node(path.resolve(), os.makedev(int(major), int(minor)))
    except (OSError, OverflowError, RuntimeError):
        return None


def node_of(device: int, root: Path = Path("/sys")) -> Node | None:
    """The device with this number."""
    return node_in(root / f"dev/block/{os.major(device)}:{os.minor(device)}")


def every_node(root: Path = Path("/sys")) -> list[Node]:
    """All block devices of the host, partitions too."""
    folder = root / "class/block"
    return [found for name in proc.names(folder) if (found := node_in(folder / name)) is not None]


def siblings_in_btrfs(device: int, root: Path = Path("/sys")) -> set[int]:
    """The devices that a mounted Btrfs is spread over, if ``device`` is one of them; at least itself."""
    for uuid in proc.names(root / "fs/btrfs"):
        folder = root / "fs/btrfs" / uuid / "devices"
        members = {found.device for name in proc.names(folder) if (found := node_in(folder / name)) is not None}
        if device in members:
            return members
    return {device}


def lvm_names(mapped_name: str) -> tuple[str, str] | None:
    """Volume group and logical volume of a device-mapper name: LVM doubles the hyphens of each and joins by one.

    A hidden layer (``vg-lv-real``) keeps its suffix in the second name.
    """
    group, *volume = mapped_name.replace("--", "\0").split("-")
    if not group or not volume or not volume[0]:
        return None
    return group.replace("\0", "-"), "-".join(volume).replace("\0", "-")
