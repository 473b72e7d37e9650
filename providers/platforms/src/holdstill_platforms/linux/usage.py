"""Who uses a device or a file: mounts of it, mounts below those, and everything else that holds it."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from holdstill.model.volume import Mount
from holdstill_platforms.linux import mountinfo
from holdstill_platforms.linux.host import Ground, Host
from holdstill_platforms.linux.mountinfo import MountRow
from holdstill_platforms.linux.sysfs import Node


@attrs.frozen
class Usage:
    """What was found. ``rows`` are the mounts as the tables have them."""

    rows: tuple[MountRow, ...]
    nested_rows: tuple[MountRow, ...]
    holders: tuple[str, ...]

    @property
    def mounts(self) -> tuple[Mount, ...]:
        """Every mount of it, also through a loop device on it."""
        return tuple(row.as_mount() for row in self.rows)

    @property
    def nested(self) -> tuple[Mount, ...]:
        """Other file systems mounted below those."""
        return tuple(row.as_mount() for row in self.nested_rows)

    def __bool__(self) -> bool:
        return bool(self.rows or self.holders)

    def __str__(self) -> str:
        """In words: ``mounted on /home; held by dm-3 (vg-home)``."""
        mounted = [_where(row) for row in self.rows]
        said = [f"mounted on {', '.join(mounted)}"] if mounted else []
        return "; ".join(said + ([f"held by {', '.join(self.holders)}"] if self.holders else []))


def of(host: Host, ground: Ground) -> Usage:
    """Who uses a block device, its partitions, or the disk that it is part of; or a plain file."""
    node = host.node(ground)
    return _of_device(host, node) if node is not None else _usage(host, ground, _held_ground(host, ground))


def _of_device(host: Host, node: Node) -> Usage:
    held = _held(host, node)
    for part in node.partitions:
        mounted = [_where(row) for row in _mounted(host, part.device)]
        held += [f"{part.name} ({what})" for what in _phrases(mounted, _held(host, part))]
    disk = node.disk
    if disk is not None:
        mounted = [_where(row) for row in _mounted(host, disk.device)]
        held += [f"its disk {disk.name} ({what})" for what in _phrases(mounted, _held(host, disk))]
    return _usage(host, node.device, held)


def _usage(host: Host, ground: Ground, holders: Iterable[str]) -> Usage:
    rows = _mounted(host, ground)
    return Usage(
        rows=tuple(rows),
        nested_rows=tuple(mountinfo.below(rows, list(host.rows))),
        holders=tuple(dict.fromkeys(holders)),
    )


def _mounted(host: Host, ground: Ground) -> list[MountRow]:
    """Mounts of the ground, and of loop devices that stand on it. A loop device cannot stand on itself."""
    rows = host.mounted(ground)
    for loop in host.loops_on(ground):
        rows += _mounted(host, loop.node.device)
    return rows


def _held(host: Host, node: Node) -> list[str]:
    return [_called(above) for above in node.above] + _held_ground(host, node.device)


def _held_ground(host: Host, ground: Ground) -> list[str]:
    held = ["swap"] if host.swaps_on(ground) else []
    for loop in host.loops_on(ground):
        held.append(loop.node.name)
        held += [f"{what} on {loop.node.name}" for what in _held(host, loop.node)]
        for part in loop.node.partitions:
            mounted = [_where(row) for row in _mounted(host, part.device)]
            held += [f"{part.name} ({what})" for what in _phrases(mounted, _held(host, part))]
    return held


def _phrases(mounted: list[str], held: list[str]) -> list[str]:
    return [f"mounted on {place}" for place in mounted] + held


def _called(node: Node) -> str:
    return f"{node.name} ({node.mapped_name})" if node.mapped_name else node.name


def _where(row: MountRow) -> str:
    return f"{row.path} (in the namespace of process {row.namespace})" if row.namespace else row.path
