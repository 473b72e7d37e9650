"""Trees that say where the blocks of one file lie. JFS keeps its own maps in files too.

Source: Linux fs/jfs/jfs_xtree.h, jfs_types.h, jfs_dinode.h, jfs_btree.h. Trees are read in the byte order of
``PAGE``'s layout; for another one, give ``attrs.evolve(PAGE, order=">")``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import attrs
import numpy as np
from numpy.typing import NDArray

from holdstill.errors import StructureFault
from holdstill.model.extents import Extents
from holdstill_filesystems.blocks import Blocks, Numbers
from holdstill_filesystems.fields import Layout, Record

#: bytes: each entry, and the head, which takes the place of the first two
_ENTRY: Final = 16
_FIRST: Final = 2
_PAGE_BYTES: Final = 4096
_LEAF, _INTERNAL = 2, 4
#: entries whose blocks hold what they should: newly allocated, or extended (jfs_xtree.h)
_PLAIN_ENTRIES: Final = 0x01 | 0x02
#: a tree of this height could name every block there is
_DEEPEST: Final = 6
#: a map's tree of more pages than this is not read
_MOST_PAGES: Final = 1 << 13

PAGE: Final = Layout(
    "xtree page",
    32,
    "<",
    "Linux fs/jfs/jfs_xtree.h",
    (("flag", 16, "B"), ("nextindex", 18, "H"), ("maxentry", 20, "H"), ("self", 24, "2I")),
)
INODE: Final = Layout(
    "inode",
    512,
    "<",
    "Linux fs/jfs/jfs_dinode.h",
    (
        ("fileset", 4, "I"),
        ("number", 8, "I"),
        ("size", 24, "q"),
        ("nlink", 40, "I"),
        ("mode", 52, "I"),
        ("root", 224, "288s"),
    ),
)


@attrs.frozen
class Pxd:
    """An extent: its first block, and how many blocks it has."""

    address: int
    length: int

    @classmethod
    def of(cls, words: tuple[int, int], order: str = "<") -> Pxd:
        """From its two words: 24 bits of length, and 40 of address. In the other byte order the length comes first."""
        first, low = words
        length, high = (first & 0xFFFFFF, first >> 24) if order == "<" else (first >> 8, first & 0xFF)
        return cls(high << 32 | low, length)

    @property
    def end(self) -> int:
        """The block after its last."""
        return self.address + self.length


@attrs.frozen(eq=False)
class Runs:
    """Where the blocks of a file lie: run ``i`` begins with block ``logical[i]`` of the file, at block
    ``address[i]``.
    """

    logical: Numbers
    address: Numbers
    length: Numbers
    pages: tuple[int, ...]
    """The blocks of the tree's own pages, beside the root."""

    @property
    def blocks(self) -> int:
        """How many blocks the file has."""
        return int(self.length.sum())

    def places(self, numbers: Numbers) -> Numbers:
        """Where these blocks of the file lie. Raises ``StructureFault`` for one past its end."""
        if numbers.size and int(numbers.max()) >= self.blocks:
            raise StructureFault(f"the block map's file has {self.blocks} blocks, none numbered {int(numbers.max())}")
        run = np.searchsorted(self.logical, numbers, side="right") - 1
        found: Numbers = self.address[run] + numbers - self.logical[run]
        return found

    def extents(self, block_size: int) -> Extents:
        """All of the file and of its tree, in bytes."""
        pages = np.array(self.pages, dtype=np.int64)
        starts = np.concatenate((self.address, pages)) * block_size
        whole = np.ones(pages.size, dtype=np.int64) * max(_PAGE_BYTES // block_size, 1)
        return Extents.from_arrays(starts, np.concatenate((self.length, whole)) * block_size)

    def same(self, other: Runs) -> bool:
        """Do both say the same?"""
        mine, theirs = (np.stack((runs.logical, runs.address, runs.length)) for runs in (self, other))
        return np.array_equal(mine, theirs)


def read_runs(blocks: Blocks, root: bytes, offset: int, page: Layout = PAGE) -> Runs:
    """The runs of the tree whose root, ``root``, was read from byte ``offset``; the file must have no holes.

    Raises ``StructureFault``.
    """
    tree = _Tree(blocks, page)
    found = list(tree.walk(root, offset, _DEEPEST))
    logical, address, length = (np.concatenate(column) for column in zip(*found, strict=True))
    expected = np.cumsum(length) - length
    if not np.array_equal(logical, expected):
        hole = int(np.flatnonzero(logical != expected)[0])
        raise StructureFault(
            f"the tree at byte {offset} has block {int(logical[hole])} where {int(expected[hole])} follows"
        )
    return Runs(logical, address, length, tuple(tree.pages))


class _Tree:
    def __init__(self, blocks: Blocks, page: Layout) -> None:
        self._blocks = blocks
        self._page = page
        self.pages: list[int] = []

    def walk(self, data: bytes, offset: int, height: int) -> Iterator[tuple[Numbers, Numbers, Numbers]]:
        """The leaves under this page, in order: logical block, address and length of each entry."""
        page = self._page.parse(data, offset)
        page.require("maxentry", _FIRST < page["maxentry"] <= len(data) // _ENTRY, "more than fit, or none")
        page.require("nextindex", _FIRST < page["nextindex"] <= page["maxentry"], "a page has entries, but not more")
        kind = page["flag"] & (_LEAF | _INTERNAL)
        page.require("flag", kind in {_LEAF, _INTERNAL}, "either a leaf or not")
        flags, logical, address, length = self._entries(page, data)
        if kind == _LEAF:
            if (flags & ~np.uint8(_PLAIN_ENTRIES)).any():
                raise page.fault("nextindex", "an entry's blocks were never written, or it has an unknown flag")
            inside = (length > 0) & (address + length <= self._blocks.count)
            page.require("nextindex", bool(inside.all()), "an entry lies outside the file system")
            yield logical, address, length
            return
        page.require("flag", height > 0, f"no tree is higher than {_DEEPEST}")
        for block in address.tolist():
            yield from self.walk(*self._child(block), height - 1)

    def _entries(self, page: Record, data: bytes) -> tuple[NDArray[np.uint8], Numbers, Numbers, Numbers]:
        """Flags, logical blocks, addresses and lengths (Linux: ``xad_t``)."""
        count = page["nextindex"] - _FIRST
        rows = np.frombuffer(data, dtype=np.uint8, count=count * _ENTRY, offset=_FIRST * _ENTRY).reshape(-1, _ENTRY)
        words = rows.view(f"{self._page.order}u4").astype(np.int64)
        logical = rows[:, 3].astype(np.int64) << 32 | words[:, 1]
        if self._page.order == "<":
            return rows[:, 0], logical, words[:, 2] >> 24 << 32 | words[:, 3], words[:, 2] & 0xFFFFFF
        return rows[:, 0], logical, (words[:, 2] & 0xFF) << 32 | words[:, 3], words[:, 2] >> 8

    def _child(self, block: int) -> tuple[bytes, int]:
        if len(self.pages) >= _MOST_PAGES:
            raise StructureFault(f"the block map's tree has more than {_MOST_PAGES} pages")
        self.pages.append(block)
        size = self._blocks.block_size
        data = self._blocks.read(block, max(_PAGE_BYTES // size, 1), "xtree page").tobytes()
        page = self._page.parse(data, block * size)
        page.require("self", Pxd.of(page["self"], self._page.order).address == block, f"it was read as block {block}")
        return data, block * size
