"""The storeys under a device, a file or a path: what it is made of, down to the disks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs

from holdstill.model.volume import Layer
from holdstill_platforms.linux import mountinfo, sysfs
from holdstill_platforms.linux.host import Ground, Host
from holdstill_platforms.linux.sysfs import Node

#: no honest stack has more storeys
LIMIT: Final = 512
#: a device-mapper UUID begins with whose device it is
_MAPPED_KINDS: Final = {"LVM-": "lvm2", "CRYPT-": "crypt", "mpath-": "multipath"}


@attrs.frozen
class Storey:
    """One of them."""

    ground: Ground
    path: str = ""
    """For a file: where it is, so that the file system under it can be found."""


def under(host: Host, *tops: Storey) -> Iterator[Storey]:
    """The storeys from ``tops`` down, nearest first, each once, ``tops`` included."""
    seen: set[Ground] = set()
    waiting = list(tops)
    while waiting and len(seen) < LIMIT:
        storey = waiting.pop(0)
        if storey.ground not in seen:
            seen.add(storey.ground)
            yield storey
            waiting += _next(host, storey)


def under_path(host: Host, path: str) -> Iterator[Storey]:
    """The storeys that carry the file or directory ``path``, or the nearest directory above it that exists."""
    return under(host, *_carrying(host, path))


def _next(host: Host, storey: Storey) -> list[Storey]:
    if not isinstance(storey.ground, int):
        return _carrying(host, storey.path)
    loops = [Storey(loop.ground, loop.path) for loop in host.loops if loop.node.device == storey.ground]
    node = host.node(storey.ground)
    return loops + ([Storey(below.device) for below in node.below] if node else [])


def _carrying(host: Host, path: str, depth: int = 0) -> list[Storey]:
    """What the file system that holds ``path`` stands on; an overlay stands on its directories."""
    place = Path(os.path.realpath(path))
    while not place.exists() and place != place.parent:
        place = place.parent
    row = mountinfo.row_at(str(place), host.own_rows)
    if row is None:
        return _by_device(place)
    if row.filesystem == "overlay" and depth < 8:
        return [found for folder in _overlaid(row.super_options) for found in _carrying(host, folder, depth + 1)]
    return [Storey(ground, row.source if isinstance(ground, tuple) else "") for ground in host.grounds_of(row)]


def _by_device(path: Path) -> list[Storey]:
    try:
        device = path.stat().st_dev
    except OSError:
        return []
    return [Storey(device)] if os.major(device) else []


def _overlaid(options: str) -> list[str]:
    pairs = (option.partition("=") for option in options.split(","))
    return [
        folder
        for key, _, value in pairs
        if key in ("upperdir", "lowerdir", "lowerdir+")
        for folder in value.split(":")
        if folder.startswith("/")
    ]


def layers(host: Host, top: Storey) -> tuple[Layer, ...]:
    """The same as the model's layers; before those, the loop devices that stand on ``top``."""
    above = [Layer("loop", loop.node.name, f"stands on {loop.path}") for loop in host.loops_on(top.ground)]
    below = [_layer(host, storey) for storey in under(host, top)]
    return (below[0], *above, *below[1:])


def _layer(host: Host, storey: Storey) -> Layer:
    node = host.node(storey.ground)
    if node is not None:
        return layer_of(node)
    return Layer("file" if isinstance(storey.ground, tuple) else "disk", storey.path)


def layer_of(node: Node) -> Layer:
    """What kind of device it is, its name, and what tells it from others."""
    if node.is_partition:
        return Layer("partition", node.name, node.event.get("PARTNAME", ""))
    if node.mapped_uuid or node.mapped_name:
        kind = next((kind for start, kind in _MAPPED_KINDS.items() if node.mapped_uuid.startswith(start)), "dm")
        names = sysfs.lvm_names(node.mapped_name) if kind == "lvm2" else None
        return Layer(kind, "/".join(names) if names else node.mapped_name, node.mapped_uuid)
    if node.array_uuid or node.name.startswith("md"):
        return Layer("md", node.name, node.array_uuid)
    if node.backing_file:
        return Layer("loop", node.name, node.backing_file)
    return Layer("disk", node.name, node.serial or node.wwid)
