"""The used blocks of a UFS1, from the volume alone: one bit for each fragment, set where it is free.

Source: illumos usr/src/uts/common/sys/fs/ufs_fs.h (``struct cg``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from holdstill.errors import StructureFault
from holdstill.model.blockmap import BlockMap, WholeVolume
from holdstill.model.extents import Extents
from holdstill.spi.reader import Reader
from holdstill_filesystems.bits import from_packed
from holdstill_filesystems.fields import Layout
from holdstill_filesystems.tail import behind
from holdstill_filesystems.ufs.superblock import Numbers, Superblock

#: how many bits make a window; at most half as many runs can come of them
_WINDOW: Final = 1 << 21
#: how many bytes of descriptors are held together
_BATCH: Final = 4 << 20
_MAGIC: Final = 0x00090255
#: where the maps of a group descriptor begin at the earliest
_MAPS_FROM: Final = 168

_GROUPS: Final = {
    order: Layout(
        "cylinder group",
        _MAPS_FROM,
        order,
        "illumos sys/fs/ufs_fs.h",
        (
            ("magic", 4, "I"),
            ("number", 12, "I"),
            ("fragments", 20, "I"),
            ("free_blocks", 28, "I"),
            ("free_fragments", 36, "I"),
            ("map", 96, "I"),
        ),
    )
    for order in "<>"
}


def used_blocks(reader: Reader) -> BlockMap | WholeVolume:
    """The map of the UFS in ``reader``, or why there is none. Raises ``StructureFault``."""
    superblock = Superblock.read(reader)
    reason = superblock.distrust()
    if reason:
        return WholeVolume(reason)
    singles = superblock.singles()
    notes: list[str] = []
    tail = behind(reader, superblock.size, notes)
    return BlockMap(superblock.fragment, _windows(reader, superblock, singles, tail), tuple(notes))


def _windows(reader: Reader, superblock: Superblock, singles: Extents, tail: Extents) -> Iterator[Extents]:
    width = max(1, min(_WINDOW // superblock.per_group, _BATCH // superblock.record["cgsize"]))
    for first in range(0, superblock.groups, width):
        groups = np.arange(first, min(first + width, superblock.groups))
        start = first * superblock.per_group * superblock.fragment
        end = min(start + groups.size * superblock.per_group * superblock.fragment, superblock.size)
        packed = ~_free(reader, superblock, groups).reshape(-1)
        used = from_packed(packed, superblock.fragment, start).clip(start, end)
        must = superblock.metadata(groups).union(singles.clip(start, end))
        forgotten = must.difference(used)
        if forgotten:
            raise StructureFault(f"the map of a group calls metadata at byte {int(forgotten.starts[0])} free")
        yield used
    if tail:
        yield tail


def _free(reader: Reader, superblock: Superblock, groups: Numbers) -> NDArray[np.uint8]:
    """The maps of these groups, checked: one row each, a set bit for a free fragment, none past the group's end."""
    rows, places = _descriptors(reader, superblock, groups)
    table = rows[:, :_MAPS_FROM].copy().view(_GROUPS[superblock.order].columns(_MAPS_FROM)).reshape(-1)
    count = superblock.fragments_in(groups)
    _require(table["magic"] == _MAGIC, groups, places, "magic does not say that it is one")
    _require(table["number"] == groups, groups, places, "number is another one's")
    _require(table["fragments"] == count, groups, places, "number of fragments does not fit the superblock")
    at, length = int(table["map"][0]), superblock.per_group // 8
    fits = (table["map"] == at) & (_MAPS_FROM <= at <= rows.shape[1] - length)
    _require(fits, groups, places, "map does not lie where it could")
    free = rows[:, at : at + length].copy()
    beyond = np.arange(superblock.per_group) >= count[-1]  # only the last group of all can be shorter
    free[-1] &= ~np.packbits(beyond, bitorder="little")
    bits = np.unpackbits(free, axis=1, bitorder="little").reshape(groups.size, -1, superblock.record["frag"])
    whole = bits.all(axis=2).sum(axis=1)
    _require(table["free_blocks"] == whole, groups, places, "number of free blocks is not what its map shows")
    single = bits.sum(axis=(1, 2), dtype=np.int64) - whole * superblock.record["frag"]
    _require(table["free_fragments"] == single, groups, places, "number of free fragments is not what its map shows")
    return free


def _descriptors(reader: Reader, superblock: Superblock, groups: Numbers) -> tuple[NDArray[np.uint8], Numbers]:
    """The group descriptors as they lie there, one row each, and where that is."""
    places = (superblock.metadata_at(groups) + superblock.record["cblkno"]) * superblock.fragment
    rows = np.empty((groups.size, superblock.record["cgsize"]), dtype=np.uint8)
    for row, place in zip(rows, places.tolist(), strict=True):
        reader.readinto(place, row.data)
    return rows, places


def _require(holds: NDArray[np.bool_], groups: Numbers, places: Numbers, otherwise: str) -> None:
    wrong = np.flatnonzero(~np.broadcast_to(holds, groups.shape))
    if wrong.size:
        at = wrong[0]
        raise StructureFault(f"of cylinder group {int(groups[at])} at byte {int(places[at])}, the {otherwise}")
