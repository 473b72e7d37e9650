"""What stands on what, all over the host: mounts, loop devices and swap, looked at once."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TypeAlias

import attrs

from holdstill_platforms.linux import ioctls, mountinfo, proc, sysfs
from holdstill_platforms.linux.mountinfo import MountRow
from holdstill_platforms.linux.sysfs import Node

#: what bytes can stand on: a block device by its number, or a regular file by its ``(st_dev, st_ino)``
Ground: TypeAlias = int | tuple[int, int]


@attrs.frozen
class Loop:
    """An attached loop device and what it stands on."""

    node: Node
    ground: Ground
    path: str
    """The file or device, as the kernel names it."""


@attrs.frozen
class Swap:
    """An active swap area."""

    path: str
    ground: Ground | None


@attrs.frozen
class Host:
    """The tables, as they were when ``look`` was called."""

    rows: tuple[MountRow, ...]
    """Our namespace's mounts first, then those of other namespaces."""
    loops: tuple[Loop, ...]
    swaps: tuple[Swap, ...]
    sys: Path = Path("/sys")
    """Where sysfs is."""
    _grounds: dict[tuple[str, str], frozenset[Ground]] = attrs.field(factory=dict, repr=False, eq=False)

    @classmethod
    def look(cls) -> Host:
        """Read them all. Takes milliseconds; opens the attached loop devices, nothing else."""
        return cls(
            rows=(*mountinfo.own(), *mountinfo.others()),
            loops=tuple(_loops()),
            swaps=tuple(Swap(path, ground_at(path)) for path in parse_swaps(proc.text("/proc/swaps"))),
        )

    def node(self, ground: Ground) -> Node | None:
        """The block device that ``ground`` is, if it is one."""
        return sysfs.node_of(ground, self.sys) if isinstance(ground, int) else None

    @property
    def own_rows(self) -> list[MountRow]:
        """The mounts of our own namespace."""
        return [row for row in self.rows if not row.namespace]

    def mounted(self, ground: Ground) -> list[MountRow]:
        """Every mount of what is on ``ground``."""
        return [row for row in self.rows if ground in self.grounds_of(row)]

    def grounds_of(self, row: MountRow) -> frozenset[Ground]:
        """What the mounted file system stands on, as far as that can be said without opening anything.

        Btrfs and file-backed mounts have a device number of their own (major 0): there the mount's source tells, and
        sysfs tells the other devices of a Btrfs.
        """
        if os.major(row.device):
            return frozenset((row.device,))
        key = (row.filesystem, row.source)
        if key not in self._grounds:
            ground = ground_at(row.source) if row.source.startswith("/") else None
            if isinstance(ground, int) and row.filesystem == "btrfs":
                self._grounds[key] = frozenset(sysfs.siblings_in_btrfs(ground, self.sys))
            else:
                self._grounds[key] = frozenset(() if ground is None else (ground,))
        return self._grounds[key]

    def loops_on(self, ground: Ground) -> list[Loop]:
        """The loop devices that stand on ``ground``."""
        return [loop for loop in self.loops if loop.ground == ground]

    def swaps_on(self, ground: Ground) -> bool:
        """Is ``ground`` swapped to?"""
        return any(swap.ground == ground for swap in self.swaps)


def ground_at(path: str) -> Ground | None:
    """What ``path`` is, if it is a block device or a regular file."""
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return None
    return ground_from(status)


def ground_from(status: os.stat_result) -> Ground | None:
    """The same, from what ``stat`` said."""
    if stat.S_ISBLK(status.st_mode):
        return status.st_rdev
    if stat.S_ISREG(status.st_mode):
        return status.st_dev, status.st_ino
    return None


def parse_swaps(text: str) -> list[str]:
    """The paths in a /proc/swaps text."""
    rows = (line.split() for line in text.splitlines()[1:])
    return [proc.unescape(fields[0]) for fields in rows if fields]


def _loops() -> list[Loop]:
    return [
        Loop(node, ground, path)
        for node in sysfs.every_node()
        if (path := node.backing_file) and (ground := _ground_below(node, path)) is not None
    ]


def _ground_below(node: Node, path: str) -> Ground | None:
    """Ask the loop driver, which knows also what was renamed, deleted or lies in another namespace; else its path."""
    try:
        fd = os.open(node.node, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ground_at(path)
    try:
        backing = ioctls.loop_backing(fd)
    except OSError:
        return ground_at(path)
    finally:
        os.close(fd)
    return backing.node or (backing.device, backing.inode)
