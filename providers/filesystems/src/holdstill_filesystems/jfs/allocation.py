"""The block allocation map: bitmaps for 8192 blocks each, and above them trees of how much is free in a row.

Source: Linux fs/jfs/jfs_dmap.h, jfs_dmap.c; jfsutils libfs/budtab.c. All pages have 4096 bytes. There are no
checksums; what is kept twice takes their place: each page says where it belongs and how much is free in it, and every
leaf of a tree follows from what is below it. Pages are read in the byte order of the layouts; ``AllocationMap`` takes
others.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import attrs
import numpy as np
from numpy.typing import NDArray

from holdstill.errors import StructureFault
from holdstill.model.extents import Extents
from holdstill_filesystems.bits import from_packed
from holdstill_filesystems.blocks import Blocks, Numbers, Rows
from holdstill_filesystems.fields import Layout
from holdstill_filesystems.jfs.xtree import Runs

#: bytes of a page; blocks that one bitmap page speaks of; bitmap pages under one page of a tree, and so on upwards
PAGE_BYTES: Final = 4096
PER_BITMAP: Final = 8192
FANOUT: Final = 1024
#: bitmap pages that are looked at together: at most half a million runs can come of them
_BATCH: Final = 128

CONTROL: Final = Layout(
    "block map's control page",
    PAGE_BYTES,
    "<",
    "Linux fs/jfs/jfs_dmap.h, struct dbmap_disk",
    (
        ("mapsize", 0, "Q"),
        ("l2nbperpage", 16, "I"),
        ("numag", 20, "I"),
        ("maxlevel", 24, "I"),
        ("agsize", 1080, "Q"),
    ),
)
BITMAP: Final = Layout(
    "block map's bitmap page",
    PAGE_BYTES,
    "<",
    "Linux fs/jfs/jfs_dmap.h, struct dmap",
    (("nblocks", 0, "I"), ("nfree", 4, "I"), ("start", 8, "Q"), ("leafidx", 24, "I"), ("height", 28, "I")),
)
TREE: Final = Layout(
    "block map's tree page",
    PAGE_BYTES,
    "<",
    "Linux fs/jfs/jfs_dmap.h, struct dmapctl",
    (("nleafs", 0, "I"), ("l2nleafs", 4, "I"), ("leafidx", 8, "I"), ("height", 12, "I"), ("budmin", 16, "b")),
)
#: where the two bitmaps lie in their page, and the trees in theirs: offset, bytes
_WORKING: Final = slice(2048, 3072)
_PERSISTENT: Final = slice(3072, 4096)
_BITMAPS_TREE: Final = slice(33, 33 + 341)
_TREES_TREE: Final = slice(17, 17 + 1365)
#: a word of a bitmap is a leaf: 2^5 blocks
_WORD: Final = 5


def _largest_free(bits: int) -> NDArray[np.int8]:
    """For each pattern of so many bits: the power of two of the largest aligned run of zeros in it, or -1."""
    if bits == 1:
        return np.array([0, -1], dtype=np.int8)
    half = _largest_free(bits // 2)
    whole = np.maximum(half[:, np.newaxis], half[np.newaxis, :])
    whole[0, 0] += 1
    return whole.reshape(-1)


_FREE_IN_HALF_WORD: Final = _largest_free(16)
#: the tree of a bitmap page without a used block: all joined into one, the first leaf of each node
_ALL_FREE: Final = np.full(341, -1, dtype=np.int8)
_ALL_FREE[[0, 1, 5, 21, 85]] = 13
_BACKWARDS: Final = np.packbits(np.unpackbits(np.arange(256, dtype=np.uint8)), bitorder="little")
_ONES: Final = np.unpackbits(np.arange(256, dtype=np.uint8)[:, np.newaxis], axis=1).sum(axis=1, dtype=np.int32)


@attrs.frozen
class AllocationMap:
    """The map of a file system of ``count`` blocks of ``blocks.block_size`` bytes, kept in the file ``runs``."""

    blocks: Blocks
    runs: Runs
    count: int
    control: Layout = CONTROL
    bitmap: Layout = BITMAP
    tree: Layout = TREE

    def used(self, must: Extents) -> Iterator[Extents]:
        """What is in use, in bytes, window by window; ``must`` is, and the map has to say so.

        A block counts as used if either of its page's bitmaps says so: the persistent one, or the working one, which
        is ahead of it while files that were deleted are still open. Raises ``StructureFault`` for a page that is not
        what the others say, and for a block of ``must`` that a bitmap shows as free.
        """
        roots: list[int] = []
        pages = -(-self.count // PER_BITMAP)
        for first in range(0, pages, FANOUT):
            here = []
            for at in range(first, min(first + FANOUT, pages), _BATCH):
                numbers = np.arange(at, min(at + _BATCH, first + FANOUT, pages), dtype=np.int64)
                rows = self._pages(bitmap_pages(numbers))
                here.append(self._checked(rows, numbers))
                yield self._used_in(rows, at, must)
            roots.append(self._tree_root(0, first // FANOUT, np.concatenate(here)))
        self._check_upper_trees(np.array(roots, dtype=np.int8))

    def check_control(self, group_size: int) -> None:
        """Raise ``StructureFault`` unless the first page describes this map, with groups of so many blocks.

        How many blocks are free it says too, but that is only true after an unmount, not in a snapshot.
        """
        control = self.control.parse(self._pages(np.zeros(1, dtype=np.int64)).tobytes(), self._offset(0))
        per_page = PAGE_BYTES // self.blocks.block_size
        control.require("mapsize", control["mapsize"] == self.count, f"there are {self.count} blocks")
        control.require("l2nbperpage", 1 << control["l2nbperpage"] % 8 == per_page, f"a page has {per_page} blocks")
        control.require("agsize", control["agsize"] == group_size, f"the superblock says {group_size}")
        control.require("numag", control["numag"] == -(-self.count // group_size), "it does not fit the groups' size")
        control.require("maxlevel", control["maxlevel"] == self._height, f"so many blocks need {self._height}")

    @property
    def _height(self) -> int:
        """How many levels of trees there are above the lowest."""
        return sum(self.count > PER_BITMAP * FANOUT**level for level in (1, 2))

    # --- bitmaps --------------------------------------------------------------------------------

    def _checked(self, rows: Rows, numbers: Numbers) -> NDArray[np.int8]:
        """What is free in a row in each of these bitmap pages, once all is checked that a page says of itself."""
        table = rows.view(self.bitmap.columns(PAGE_BYTES)).reshape(-1)
        length = np.minimum(self.count - numbers * PER_BITMAP, PER_BITMAP)
        trees = rows[:, _BITMAPS_TREE].view(np.int8)
        busy = self._busy(rows)
        self._refuse(numbers, table["start"] != numbers * PER_BITMAP, "begins elsewhere")
        self._refuse(numbers, table["nblocks"] != length, "speaks of another number of blocks")
        self._refuse(numbers, (table["leafidx"] != 85) | (table["height"] != 4), "has a tree of another form")
        free = np.full(numbers.size, PER_BITMAP)
        free[busy] -= _ONES[rows[busy, _WORKING]].sum(axis=1)
        self._refuse(numbers, table["nfree"] != free, "has another number of free blocks than it says")
        unlike = _unlike(trees[busy], self._free_in_words(rows[busy]), _WORD)
        self._refuse(numbers[busy], unlike, "has a tree that does not fit its bits")
        root: NDArray[np.int8] = trees[:, 0]
        return root

    def _busy(self, rows: Rows) -> NDArray[np.bool_]:
        """Which of the pages are not those of 8192 free blocks, as most of a large volume are."""
        marked = rows[:, _WORKING.start :].copy().view(np.uint64).any(axis=1)
        busy: NDArray[np.bool_] = marked | (rows[:, _BITMAPS_TREE].view(np.int8) != _ALL_FREE).any(axis=1)
        return busy

    def _free_in_words(self, rows: Rows) -> NDArray[np.int8]:
        halves = _FREE_IN_HALF_WORD[rows[:, _WORKING].copy().view(f"{self.bitmap.order}u2")].reshape(
            -1, PER_BITMAP >> _WORD, 2
        )
        return np.where((halves == 4).all(axis=2), np.int8(_WORD), halves.max(axis=2))

    def _refuse(self, numbers: Numbers, wrong: NDArray[np.bool_], because: str) -> None:
        if wrong.any():
            number = int(numbers[int(np.flatnonzero(wrong)[0])])
            at = self._offset(int(bitmap_pages(np.array([number]))[0]))
            raise StructureFault(
                f"the block map's bitmap page for block {number * PER_BITMAP}, at byte {at}, {because}"
            )

    def _used_in(self, rows: Rows, first: int, must: Extents) -> Extents:
        size = self.blocks.block_size
        start = first * PER_BITMAP * size
        end = min(start + len(rows) * PER_BITMAP * size, self.count * size)
        either = rows[:, _WORKING] | rows[:, _PERSISTENT]
        marked = self._from_bits(either, start).clip(start, end) if either.any() else Extents.none()
        unmarked = must.clip(start, end).difference(marked)
        if unmarked:
            raise StructureFault(f"the block map shows metadata at byte {int(unmarked.starts[0])} as free")
        return marked

    def _from_bits(self, rows: Rows, start: int) -> Extents:
        words = rows.reshape(-1, 4)
        if self.bitmap.order == "<":
            words = words[:, ::-1]  # the first block is the highest bit of a word of four bytes
        return from_packed(_BACKWARDS[words].reshape(-1), self.blocks.block_size, start)

    # --- trees ----------------------------------------------------------------------------------

    def _check_upper_trees(self, roots: NDArray[np.int8]) -> None:
        for level in range(1, self._height + 1):
            above = range(0, len(roots), FANOUT)
            found = [self._tree_root(level, at // FANOUT, roots[at : at + FANOUT]) for at in above]
            roots = np.array(found, dtype=np.int8)

    def _tree_root(self, level: int, number: int, below: NDArray[np.int8]) -> int:
        """What is free in a row under tree ``number`` of its level, after its leaves were compared with what is
        below.
        """
        place = tree_page(level, number)
        row = self._pages(np.array([place], dtype=np.int64))
        least = 13 + 10 * level
        page = self.tree.parse(row.tobytes(), self._offset(place))
        page.require("nleafs", page["nleafs"] == FANOUT and page["leafidx"] == 341, "not the form of such a tree")
        page.require("height", page["height"] == 5, "not the form of such a tree")
        page.require("budmin", page["budmin"] == least, f"it should be {least}")
        leaves = np.full(FANOUT, -1, dtype=np.int8)
        leaves[: below.size] = below
        tree = row[:, _TREES_TREE].view(np.int8)
        if _unlike(tree, leaves[np.newaxis, :], least)[0]:
            raise page.fault("budmin", "its leaves do not fit what is below them")
        return int(tree[0, 0])

    # --- pages ----------------------------------------------------------------------------------

    def _pages(self, numbers: Numbers) -> Rows:
        """These pages of the map's file (count x 4096)."""
        per_page = PAGE_BYTES // self.blocks.block_size
        each = (numbers[:, np.newaxis] * per_page + np.arange(per_page)).reshape(-1)
        return self.blocks.gather(self.runs.places(each), "block map").reshape(-1, PAGE_BYTES)

    def _offset(self, page: int) -> int:
        """Where a page lies, in bytes."""
        size = self.blocks.block_size
        return int(self.runs.places(np.array([page * (PAGE_BYTES // size)]))[0]) * size


def bitmap_pages(numbers: Numbers) -> Numbers:
    """Which pages of the map's file hold the bitmaps of these numbers: pages of trees lie between them."""
    pages: Numbers = numbers + (numbers >> 10) + (numbers >> 20) + 4
    return pages


def tree_page(level: int, number: int) -> int:
    """Which page of the map's file holds tree ``number`` of a level, 0 to 2."""
    if level == 0:
        return (number << 10) + number + (number >> 10) + 3
    return (number << 20) + (number << 10) + number + 2 if level == 1 else 1


def _unlike(trees: NDArray[np.int8], below: NDArray[np.int8], least: int) -> NDArray[np.bool_]:
    """Which of the trees (one a row) do not follow from what is free below each leaf.

    A leaf that is wholly free, which ``least`` stands for, may be joined with its neighbours: then it says more than
    ``least``, or, to the right of the first one, -1. Every other node is the largest of its four children.
    """
    leaves = trees[:, -below.shape[1] :]
    joined = (below >= least) & ((leaves >= least) | (leaves == -1))
    wrong: NDArray[np.bool_] = ((leaves != below) & ~joined).any(axis=1)
    width, end = below.shape[1], trees.shape[1]
    while width > 1:
        children = trees[:, end - width : end].reshape(len(trees), width // 4, 4)
        end -= width
        width //= 4
        wrong |= (trees[:, end - width : end] != children.max(axis=2)).any(axis=1)
    return wrong
