"""Tree blocks: read many at once, each checked against all that is known of it before it was read.

Source: Linux include/uapi/linux/btrfs_tree.h, ``struct btrfs_header``, ``btrfs_item``, ``btrfs_key_ptr``.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import attrs
import numpy as np
from numpy.typing import NDArray

from holdstill.errors import StructureFault
from holdstill.spi.reader import Reader
from holdstill_filesystems.btrfs.checksums import Rows, fits
from holdstill_filesystems.btrfs.chunkmap import ChunkMap
from holdstill_filesystems.btrfs.superblock import Superblock
from holdstill_filesystems.fields import Layout

#: structured arrays, whose columns are those of a ``Layout``
Table: TypeAlias = NDArray[np.void]

_SOURCE: Final = "Linux include/uapi/linux/btrfs_tree.h"
HEADER: Final = Layout(
    "tree block",
    101,
    "<",
    _SOURCE,
    (
        ("fsid", 32, "16s"),
        ("bytenr", 48, "Q"),
        ("generation", 80, "Q"),
        ("owner", 88, "Q"),
        ("nritems", 96, "I"),
        ("level", 100, "B"),
    ),
)
KEY: Final = (("objectid", 0, "Q"), ("type", 8, "B"), ("key_offset", 9, "Q"))
ITEM: Final = Layout("item", 25, "<", _SOURCE, (*KEY, ("at", 17, "I"), ("size", 21, "I")))
POINTER: Final = Layout("pointer", 33, "<", _SOURCE, (*KEY, ("block", 17, "Q"), ("generation", 25, "Q")))


@attrs.frozen(eq=False)
class Entries:
    """What tree blocks of one level hold: ``table`` has one row for each item or pointer, in the order of keys.

    ``blocks`` are the tree blocks themselves, ``of`` says which of them each entry is from.
    """

    blocks: Rows
    table: Table
    of: NDArray[np.intp]

    def only(self, chosen: NDArray[np.bool_]) -> Entries:
        """Some of the entries."""
        return Entries(self.blocks, self.table[chosen], self.of[chosen])

    def values(self, layout: Layout) -> Table:
        """What each item holds, read as ``layout``. Raises ``StructureFault`` for an item that is too short."""
        if (self.table["size"] < layout.size).any():
            raise StructureFault(f"a {layout.name} is shorter than {layout.size} bytes")
        starts = self.of * self.blocks.shape[1] + HEADER.size + self.table["at"].astype(np.intp)
        taken = self.blocks.reshape(-1)[starts[:, np.newaxis] + np.arange(layout.size)]
        return np.ascontiguousarray(taken).view(layout.columns(layout.size)).reshape(-1)


class Nodes:
    """Reads tree blocks by their logical addresses."""

    def __init__(self, reader: Reader, superblock: Superblock, chunks: ChunkMap) -> None:
        self._reader = reader
        self._superblock = superblock
        self._chunks = chunks
        self.size = superblock.node_size
        self._kept: dict[int, tuple[int, int, int, Entries]] = {}

    def read(
        self, owner: int, level: int, blocks: NDArray[np.uint64], generations: NDArray[np.uint64], what: str
    ) -> Entries:
        """The entries of these blocks of one level of the tree ``owner``; ``what`` names it in errors.

        A block that is asked for alone is kept until another one of its level is: those high in a tree come again.
        Raises ``StructureFault`` for a block that is not where it should be, does not fit its checksum, or is not
        the one that was meant; for keys that do not ascend, and data outside of its block.
        """
        if blocks.size > 1:
            return self._checked(owner, level, blocks, generations, what)
        asked = (owner, int(blocks[0]), int(generations[0]))
        if level not in self._kept or self._kept[level][:3] != asked:
            self._kept[level] = (*asked, self._checked(owner, level, blocks, generations, what))
        return self._kept[level][3]

    def _checked(
        self, owner: int, level: int, blocks: NDArray[np.uint64], generations: NDArray[np.uint64], what: str
    ) -> Entries:
        rows = self._gather(blocks, what)
        headers = np.ascontiguousarray(rows[:, : HEADER.size]).view(HEADER.columns(HEADER.size)).reshape(-1)
        capacity = (self.size - HEADER.size) // (POINTER.size if level else ITEM.size)
        meant = (
            (fits(self._superblock.checksum_kind, rows), "does not fit its checksum"),
            (headers["fsid"] == self._superblock.tree_fsid, "belongs to another file system"),
            (headers["bytenr"] == blocks, "says that it lies elsewhere"),
            (headers["generation"] == generations, "is not from the transaction that it should be from"),
            (generations <= self._superblock.generation, "is younger than the superblock"),
            (headers["owner"] == owner, "belongs to another tree"),
            (headers["level"] == level, "is on another level of the tree"),
            (headers["nritems"] <= capacity, "says that it holds more than fits"),
        )
        for holds, because in meant:
            if not holds.all():
                raise StructureFault(f"the block of the {what} at logical {int(blocks[np.argmin(holds)])} {because}")
        return self._entries(rows, headers["nritems"], level, capacity, what)

    def _gather(self, blocks: NDArray[np.uint64], what: str) -> Rows:
        """The bytes of each, in their order; neighbours on the device are read at once."""
        places = self._chunks.places(blocks, self.size, f"block of the {what}")
        rows = np.empty((places.size, self.size), dtype=np.uint8)
        order = np.argsort(places, kind="stable")
        ascending = places[order]
        heads = np.flatnonzero(np.diff(ascending) != self.size) + 1
        for run in np.split(np.arange(places.size), heads):
            room = np.empty((run.size, self.size), dtype=np.uint8)
            self._reader.readinto(int(ascending[run[0]]), room.reshape(-1).data)
            rows[order[run]] = room
        return rows

    def _entries(self, rows: Rows, counts: NDArray[np.uint32], level: int, capacity: int, what: str) -> Entries:
        layout = POINTER if level else ITEM
        area = rows[:, HEADER.size : HEADER.size + capacity * layout.size]
        table = np.ascontiguousarray(area).view(layout.columns(layout.size))
        present = np.arange(capacity) < counts[:, np.newaxis]
        entries = Entries(rows, table[present], np.nonzero(present)[0])
        if not ascending(entries.table):
            raise StructureFault(f"the keys of the {what} do not ascend")
        if not level:
            self._check_items(entries, counts, what)
        return entries

    def _check_items(self, entries: Entries, counts: NDArray[np.uint32], what: str) -> None:
        starts = entries.table["at"].astype(np.int64)
        ends = starts + entries.table["size"]
        past_keys = counts[entries.of].astype(np.int64) * ITEM.size
        if (starts < past_keys).any() or (ends > self.size - HEADER.size).any():
            raise StructureFault(f"an item of the {what} lies outside its block")


def ascending(table: Table) -> bool:
    """Is each key greater than the one before?"""
    before, after = table[:-1], table[1:]
    same = after["objectid"] == before["objectid"]
    same_type = same & (after["type"] == before["type"])
    greater = (after["objectid"] > before["objectid"]) | (same & (after["type"] > before["type"]))
    return bool((greater | (same_type & (after["key_offset"] > before["key_offset"]))).all())
