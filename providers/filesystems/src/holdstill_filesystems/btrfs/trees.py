"""Trees: their leaves in the order of keys, some at a time, and where each tree begins.

Source: Linux include/uapi/linux/btrfs_tree.h; fs/btrfs/disk-io.c for how they are found from the superblock.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import attrs
import numpy as np

from holdstill.errors import StructureFault
from holdstill_filesystems.btrfs.nodes import Entries, Nodes, Table, ascending
from holdstill_filesystems.btrfs.superblock import LEVELS, Superblock
from holdstill_filesystems.fields import Layout

#: the numbers of trees, which are also the owners of their blocks
ROOTS, EXTENTS, CHUNKS, BLOCK_GROUPS = 1, 2, 3, 11
#: the past of all keys
END: Final = 1 << 64
#: how many bytes of leaves are looked at together
_BATCH: Final = 4 << 20
_ROOT_ITEM: Final = 132

_ROOT: Final = Layout(
    "root item",
    239,
    "<",
    "Linux include/uapi/linux/btrfs_tree.h, struct btrfs_root_item",
    (("generation", 160, "Q"), ("bytenr", 176, "Q"), ("refs", 216, "I"), ("level", 238, "B")),
)


@attrs.frozen(eq=False)
class Tree:
    """One tree: who its blocks belong to, and where its root block is."""

    owner: int
    what: str
    root: int
    level: int
    generation: int

    def leaves(self, nodes: Nodes, first: int = 0, past: int = END) -> Iterator[Entries]:
        """The leaves that may hold keys whose objectid is in ``[first, past)``, a batch at a time, in order.

        They hold others too. Raises ``StructureFault``: see ``Nodes.read``; also where keys do not ascend from one
        batch to the next, or are not the ones that a pointer promises. No leaf is read twice, whatever a tree claims:
        keys would have to go back.
        """
        root = nodes.read(self.owner, self.level, *_one(self.root, self.generation), self.what)
        last: Table | None = None
        for batch in self._below(nodes, self.level, root, first, past):
            edge = batch.table[[0, -1]] if batch.table.size else None
            if edge is None:
                if self.level:
                    raise StructureFault(f"a block of the {self.what} is empty")
                continue
            if last is not None and not ascending(np.stack((last, edge[0]))):
                raise StructureFault(f"the keys of the {self.what} do not ascend")
            last = edge[1]
            yield batch

    def _below(self, nodes: Nodes, level: int, entries: Entries, first: int, past: int) -> Iterator[Entries]:
        if level == 0:
            yield entries
            return
        pointers = _reaching(entries.table, first, past)
        width = max(1, _BATCH // nodes.size) if level == 1 else 1
        for at in range(0, pointers.size, width):
            chosen = pointers[at : at + width]
            found = nodes.read(self.owner, level - 1, chosen["block"], chosen["generation"], self.what)
            self._check_first_keys(found, chosen)
            yield from self._below(nodes, level - 1, found, first, past)

    def _check_first_keys(self, found: Entries, pointers: Table) -> None:
        holders, heads = np.unique(found.of, return_index=True)
        keys = found.table[heads]
        if holders.size != pointers.size or any(
            (keys[name] != pointers[name]).any() for name in ("objectid", "type", "key_offset")
        ):
            raise StructureFault(f"a block of the {self.what} does not begin with the key that leads to it")


def chunk_tree(superblock: Superblock) -> Tree:
    """The tree of chunks: the superblock says where."""
    record = superblock.record
    return Tree(CHUNKS, "chunk tree", record["chunk_root"], record["chunk_root_level"], record["chunk_root_generation"])


def root_tree(superblock: Superblock) -> Tree:
    """The tree of roots: the superblock says where."""
    record = superblock.record
    return Tree(ROOTS, "root tree", record["root"], record["root_level"], record["generation"])


def tree_of(number: int, what: str, superblock: Superblock, nodes: Nodes) -> Tree:
    """One of the other trees, by its number. Raises ``StructureFault`` if the tree of roots has none such."""
    for batch in root_tree(superblock).leaves(nodes, number, number + 1):
        table = batch.table
        mine = (table["objectid"] == number) & (table["type"] == _ROOT_ITEM) & (table["key_offset"] == 0)
        if mine.any():
            item = batch.only(mine).values(_ROOT)[0]
            if item["level"] >= LEVELS or not item["refs"]:
                raise StructureFault(f"the root item of the {what} makes no sense")
            return Tree(number, what, int(item["bytenr"]), int(item["level"]), int(item["generation"]))
    raise StructureFault(f"there is no {what}")


def _one(block: int, generation: int) -> tuple[np.ndarray, np.ndarray]:
    return np.array([block], dtype=np.uint64), np.array([generation], dtype=np.uint64)


def _reaching(pointers: Table, first: int, past: int) -> Table:
    """Those under which keys with an objectid in ``[first, past)`` may be: each reaches up to the next one's key."""
    begins = pointers["objectid"]
    from_here = max(0, int(np.searchsorted(begins, np.uint64(first), side="left")) - 1)
    to_here = begins.size if past == END else int(np.searchsorted(begins, np.uint64(past), side="left"))
    return pointers[from_here:to_here]
