"""Chunks: which logical addresses lie where on the device.

Every address in a tree is a logical one. A chunk maps a run of these to one run of the device (single) or to two (DUP).
Source: Linux include/uapi/linux/btrfs_tree.h, ``struct btrfs_chunk`` and ``btrfs_stripe``.
"""

from __future__ import annotations

from typing import Final

import attrs
import numpy as np
from numpy.typing import NDArray

from holdstill.errors import StructureFault
from holdstill.model.extents import LIMIT
from holdstill_filesystems.btrfs.superblock import Superblock
from holdstill_filesystems.fields import Layout

Numbers = NDArray[np.int64]

#: what a chunk holds, and how: bits of its type (BTRFS_BLOCK_GROUP_*)
DATA, SYSTEM, METADATA, DUP = 1 << 0, 1 << 1, 1 << 2, 1 << 5
_CONTENTS: Final = (DATA, SYSTEM, METADATA, DATA | METADATA)
_PROFILES: Final = {3: "RAID0", 4: "RAID1", 6: "RAID10", 7: "RAID5", 8: "RAID6", 9: "RAID1C3", 10: "RAID1C4"}

_SOURCE: Final = "Linux include/uapi/linux/btrfs_tree.h"
_HEAD: Final = (
    ("length", 0, "Q"),
    ("type", 24, "Q"),
    ("num_stripes", 44, "H"),
    ("device_1", 48, "Q"),
    ("place_1", 56, "Q"),
    ("uuid_1", 64, "16s"),
)
#: a chunk with one stripe, and with two
SINGLE: Final = Layout("chunk", 80, "<", _SOURCE, _HEAD)
DOUBLE: Final = Layout(
    "chunk", 112, "<", _SOURCE, (*_HEAD, ("device_2", 80, "Q"), ("place_2", 88, "Q"), ("uuid_2", 96, "16s"))
)
_KEY: Final = Layout("system chunk's key", 17, "<", _SOURCE, (("type", 8, "B"), ("logical", 9, "Q")))
CHUNK_ITEM: Final = 228
_NOWHERE: Final = -1


@attrs.frozen(eq=False)
class ChunkMap:
    """All chunks, in the order of logical addresses, one array element each. Bytes."""

    logical: Numbers
    length: Numbers
    kind: Numbers
    """What they hold and how: the bits above."""
    place: Numbers
    """Where on the device they begin."""
    copy: Numbers
    """Where their second copies begin, or -1."""

    @classmethod
    def checked(cls, superblock: Superblock, logical: NDArray[np.uint64], chunks: list[NDArray[np.void]]) -> ChunkMap:
        """From the chunks at these addresses (tables of ``SINGLE`` or ``DOUBLE``, together as long as ``logical``).

        Raises ``StructureFault`` for an unknown profile, another device, overlaps, and whatever leaves the device.
        """
        parts = [_columns(superblock, table) for table in chunks]
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        if not logical.size or int(logical.max()) >= LIMIT:
            raise StructureFault("there are no chunks, or one at an impossible address")
        order = np.argsort(logical)
        start = logical.astype(np.int64)[order]
        length, kind, place, copy = (column[order] for column in columns)
        found = cls(start, length, kind, place, copy)
        if (start % superblock.sector_size).any() or (length % superblock.sector_size).any():
            raise StructureFault("a chunk does not consist of whole sectors")
        if (start[1:] < (start + length)[:-1]).any():
            raise StructureFault("two chunks overlap in logical addresses")
        found._check_places(superblock.size)
        return found

    def _check_places(self, device_size: int) -> None:
        places, which = self.stripes()
        ends = places + self.length[which]
        if int(places.min()) < 0 or int(ends.max()) > device_size:
            raise StructureFault(f"a chunk leaves the device of {device_size} bytes")
        if (places[1:] < ends[:-1]).any():
            raise StructureFault("two chunks overlap on the device")

    def stripes(self) -> tuple[Numbers, Numbers]:
        """Where each copy of each chunk begins, in the order of the device, and the index of the chunk."""
        doubled = np.flatnonzero(self.copy != _NOWHERE)
        places = np.concatenate((self.place, self.copy[doubled]))
        which = np.concatenate((np.arange(self.place.size), doubled))
        order = np.argsort(places, kind="stable")
        return places[order], which[order]

    def holding(self, logical: Numbers, length: Numbers | int) -> Numbers:
        """The index of the chunk that each of these ranges lies in, or -1 where it is not inside one."""
        index = np.searchsorted(self.logical, logical, side="right") - 1
        inside = (index >= 0) & (logical + length <= self.logical[index] + self.length[index])
        return np.where(inside, index, -1)

    def places(self, blocks: NDArray[np.uint64], length: int, what: str) -> Numbers:
        """Where on the device each of these blocks has its first copy. Raises ``StructureFault``; ``what`` is named."""
        known = blocks < LIMIT
        logical = np.where(known, blocks, 0).astype(np.int64)
        index = np.where(known, self.holding(logical, length), -1)
        if (index < 0).any():
            raise StructureFault(f"the {what} at logical {int(blocks[np.argmin(index)])} is in no chunk")
        found: Numbers = self.place[index] + logical - self.logical[index]
        return found

    def copies(self, blocks: NDArray[np.uint64]) -> Numbers:
        """Where on the device these blocks, which ``places`` knows, begin: all copies."""
        logical = blocks.astype(np.int64)
        index = self.holding(logical, 0)
        within = logical - self.logical[index]
        doubled = self.copy[index] != _NOWHERE
        return np.concatenate((self.place[index] + within, (self.copy[index] + within)[doubled]))

    def includes(self, other: ChunkMap) -> bool:
        """Is each chunk of ``other`` one of these, in all its numbers?"""
        mine = np.stack((self.logical, self.length, self.kind, self.place, self.copy), axis=1)
        theirs = np.stack((other.logical, other.length, other.kind, other.place, other.copy), axis=1)
        at = np.minimum(np.searchsorted(self.logical, other.logical), len(mine) - 1)
        return bool((mine[at] == theirs).all())


def system_chunks(superblock: Superblock) -> ChunkMap:
    """The chunks that the superblock itself tells: those that the chunk tree lies in. Raises ``StructureFault``."""
    record = superblock.record
    data = record["sys_chunk_array"][: record["sys_chunk_array_size"]]
    origin = record.offset + record.layout.offset_of("sys_chunk_array")
    logical, tables = [], []
    at = 0
    while at < len(data):
        key = _KEY.parse(data[at:], origin + at)
        key.require("type", key["type"] == CHUNK_ITEM, "not a chunk's")
        at += _KEY.size
        stripes = SINGLE.parse(data[at:], origin + at)["num_stripes"]
        layout = DOUBLE if stripes == 2 else SINGLE
        chunk = layout.parse(data[at:], origin + at)
        chunk.require("type", bool(chunk["type"] & SYSTEM), "not a system chunk")
        logical.append(key["logical"])
        tables.append(np.frombuffer(chunk.data, dtype=layout.columns(layout.size)))
        at += layout.size
    if not tables:
        raise record.fault("sys_chunk_array_size", "there are no system chunks")
    return ChunkMap.checked(superblock, np.array(logical, dtype=np.uint64), tables)


def _columns(superblock: Superblock, table: NDArray[np.void]) -> tuple[Numbers, Numbers, Numbers, Numbers]:
    """Length, kind, place and place of the copy of each chunk of one table, each chunk checked by itself."""
    kinds = table["type"]
    profiles = kinds & ~np.uint64(DATA | SYSTEM | METADATA)
    names = table.dtype.names or ()
    doubled = "place_2" in names
    strange = profiles != (DUP if doubled else 0)
    if strange.any():
        raise StructureFault(f"it has chunks of the profile {_profile(int(profiles[strange][0]))}")
    if not np.isin(kinds & ~np.uint64(DUP), _CONTENTS).all():
        raise StructureFault("a chunk holds neither data nor metadata nor the system's")
    if (table["num_stripes"] != (2 if doubled else 1)).any():
        raise StructureFault("a chunk has another number of stripes than its profile")
    if not table["length"].all() or (table["length"] > superblock.size).any():
        raise StructureFault("a chunk has an impossible length")
    for copy in ("1", "2") if doubled else ("1",):
        here = (table[f"device_{copy}"] == superblock.record["device_id"]) & (
            table[f"uuid_{copy}"] == superblock.record["device_uuid"]
        )
        if not here.all():
            raise StructureFault("a chunk lies on another device")
        if (table[f"place_{copy}"] > superblock.size).any():
            raise StructureFault(f"a chunk leaves the device of {superblock.size} bytes")
    copies = table["place_2"].astype(np.int64) if doubled else np.full(table.size, _NOWHERE)
    return table["length"].astype(np.int64), kinds.astype(np.int64), table["place_1"].astype(np.int64), copies


def _profile(bits: int) -> str:
    if bits == 0:
        return "single with two stripes"
    if bits == DUP:
        return "DUP with one stripe"
    return ", ".join(_PROFILES.get(bit, f"0x{1 << bit:x}") for bit in range(64) if bits >> bit & 1)
