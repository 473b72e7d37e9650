"""What the extent tree says is allocated, translated to places on the device, in the order of the device.

The extent tree is sorted by logical address; the copies of chunks lie on the device in any order. So they are gone
through as they lie there, and for each the part of the tree is read that speaks of it. Neighbours that are neighbours
in both orders are read in one go.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import attrs
import numpy as np

from holdstill.errors import StructureFault
from holdstill.model.extents import LIMIT, Extents
from holdstill_filesystems.btrfs.chunkmap import ChunkMap, Numbers
from holdstill_filesystems.btrfs.features import RoCompat
from holdstill_filesystems.btrfs.nodes import Entries, Nodes, Table
from holdstill_filesystems.btrfs.superblock import LEVELS, Superblock
from holdstill_filesystems.btrfs.trees import BLOCK_GROUPS, END, EXTENTS, Tree, tree_of
from holdstill_filesystems.fields import Layout

_EXTENT_ITEM, _METADATA_ITEM, _BLOCK_GROUP_ITEM = 168, 169, 192
#: also who refers to an extent, where there are too many for its own item
_KNOWN: Final = (_EXTENT_ITEM, _METADATA_ITEM, _BLOCK_GROUP_ITEM, 176, 178, 182, 184)
_BLOCK_GROUP: Final = Layout(
    "block group item",
    24,
    "<",
    "Linux include/uapi/linux/btrfs_tree.h, struct btrfs_block_group_item",
    (("used", 0, "Q"), ("flags", 16, "Q")),
)
_UNTOLD: Final = -1
#: for each run of chunks the tree is gone down once; so many are 64 TiB in no order at all
_MOST_RUNS: Final = 1 << 16


@attrs.define(eq=False)
class Allocated:
    """The allocated extents of one file system. ``windows`` may be asked for once."""

    superblock: Superblock
    chunks: ChunkMap
    nodes: Nodes
    tree: Tree
    _told: Numbers
    """How many bytes are allocated in each chunk, as its block group says."""

    @classmethod
    def found(cls, superblock: Superblock, chunks: ChunkMap, nodes: Nodes) -> Allocated:
        """Raises ``StructureFault`` where the trees cannot be found, or block groups make no sense."""
        tree = tree_of(EXTENTS, "extent tree", superblock, nodes)
        allocated = cls(superblock, chunks, nodes, tree, np.full(chunks.logical.size, _UNTOLD))
        if superblock.has(RoCompat.BLOCK_GROUP_TREE):
            for batch in tree_of(BLOCK_GROUPS, "block group tree", superblock, nodes).leaves(nodes):
                if (batch.table["type"] != _BLOCK_GROUP_ITEM).any():
                    raise StructureFault("the block group tree holds something else")
                allocated._note_block_groups(batch)
        return allocated

    def windows(self) -> Iterator[Extents]:
        """All copies of all extents, in bytes of the device. Raises ``StructureFault`` for what cannot be true."""
        places, which = self.chunks.stripes()
        heads = np.flatnonzero(np.diff(which) != 1) + 1
        if heads.size > _MOST_RUNS:
            raise StructureFault(f"its chunks lie on the device in more than {_MOST_RUNS} runs of any order")
        for run in np.split(np.arange(places.size), heads):
            yield from self._run(which[run], places[run])
        self._check_total()

    def _run(self, which: Numbers, places: Numbers) -> Iterator[Extents]:
        """Chunks that are neighbours in both orders; ``places`` is where their present copies begin."""
        first, last = int(which[0]), int(which[-1])
        before = int(self.chunks.logical[first - 1] + self.chunks.length[first - 1]) if first else 0
        past = int(self.chunks.logical[last] + self.chunks.length[last])
        past = END if last == self.chunks.logical.size - 1 else past
        seen = np.zeros(which.size, dtype=np.int64)
        reached = before
        for batch in self.tree.leaves(self.nodes, before, past):
            starts, lengths = self._extents(batch, before, past)
            if not starts.size:
                continue
            if starts[0] < reached or (starts[1:] < (starts + lengths)[:-1]).any():
                raise StructureFault(f"extents overlap near logical {int(starts[0])}")
            reached = int(starts[-1] + lengths[-1])
            holder = self.chunks.holding(starts, lengths) - first
            if ((holder < 0) | (holder >= which.size)).any():
                raise StructureFault(f"an extent near logical {int(starts[0])} is in no chunk")
            np.add.at(seen, holder, lengths)
            yield Extents.from_arrays(starts - self.chunks.logical[holder + first] + places[holder], lengths)
        self._check_used(which, seen)

    def _extents(self, batch: Entries, first: int, past: int) -> tuple[Numbers, Numbers]:
        """Logical starts and lengths of the extents that begin in ``[first, past)``; block groups are noted."""
        here = batch.table["objectid"] >= np.uint64(first)
        if past != END:
            here &= batch.table["objectid"] < np.uint64(past)
        kinds = batch.table["type"]
        elsewhere = self.superblock.has(RoCompat.BLOCK_GROUP_TREE)
        if not np.isin(kinds, _KNOWN).all() or (elsewhere and (kinds == _BLOCK_GROUP_ITEM).any()):
            raise StructureFault("the extent tree holds something of an unknown type")
        self._note_block_groups(batch.only(here & (kinds == _BLOCK_GROUP_ITEM)))
        return self._runs(batch.table[here & (kinds <= _METADATA_ITEM)])

    def _runs(self, table: Table) -> tuple[Numbers, Numbers]:
        blocks = table["type"] == _METADATA_ITEM
        lengths = np.where(blocks, np.uint64(self.nodes.size), table["key_offset"])
        unit = np.uint64(self.superblock.sector_size)
        strange = (
            (table["objectid"] >= LIMIT)
            | (lengths >= LIMIT)
            | (lengths == 0)
            | (table["objectid"] % unit != 0)
            | (lengths % unit != 0)
            | (blocks & (table["key_offset"] >= LEVELS))
        )
        if strange.any():
            raise StructureFault(f"the extent at logical {int(table['objectid'][np.argmax(strange)])} cannot be so")
        return table["objectid"].astype(np.int64), lengths.astype(np.int64)

    def _note_block_groups(self, batch: Entries) -> None:
        """Keep how much of each chunk is used; each must be a chunk's, in all its numbers."""
        if not batch.table.size:
            return
        starts, lengths = batch.table["objectid"], batch.table["key_offset"]
        index = np.searchsorted(self.chunks.logical, np.minimum(starts, LIMIT).astype(np.int64))
        index = np.minimum(index, self.chunks.logical.size - 1)
        items = batch.values(_BLOCK_GROUP)
        fits = (
            (self.chunks.logical[index] == starts)
            & (self.chunks.length[index] == lengths)
            & (self.chunks.kind[index] == items["flags"])
            & (items["used"] <= lengths)
        )
        if not fits.all():
            raise StructureFault(f"the block group at logical {int(starts[np.argmin(fits)])} fits no chunk")
        self._told[index] = items["used"].astype(np.int64)

    def _check_used(self, which: Numbers, seen: Numbers) -> None:
        wrong = np.flatnonzero(self._told[which] != seen)
        if wrong.size:
            chunk = which[wrong[0]]
            said = f"says {self._told[chunk]}" if self._told[chunk] != _UNTOLD else "is not there"
            raise StructureFault(
                f"{seen[wrong[0]]} bytes are allocated in the chunk at logical {self.chunks.logical[chunk]}, "
                f"its block group {said}"
            )

    def _check_total(self) -> None:
        total, said = int(self._told.sum()), self.superblock.record["bytes_used"]
        if total != said:
            raise StructureFault(f"{total} bytes are allocated, the superblock says {said}")
