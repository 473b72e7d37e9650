"""The two trees of free space that each allocation group has, of many groups at once, level by level.

A tree is a B+tree of runs: ``bno`` sorted by place, ``cnt`` by length and place. The blocks of each level are linked
both ways.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import attrs
import numpy as np
from numpy.typing import NDArray

from holdstill.errors import StructureFault
from holdstill_filesystems.blocks import Blocks, Numbers, Rows
from holdstill_filesystems.fields import Layout
from holdstill_filesystems.xfs.groups import Groups
from holdstill_filesystems.xfs.sealed import unsealed
from holdstill_filesystems.xfs.superblock import Superblock

#: more blocks than this in one level of the trees of a batch of groups are not kept in memory
MOST_BLOCKS: Final = 1 << 20
#: how many bytes of blocks are looked at together
_BATCH: Final = 1 << 20
_NONE: Final = 0xFFFFFFFF
#: magic numbers by version
_MAGICS: Final = {
    ("bno", 4): 0x41425442,
    ("bno", 5): 0x41423342,
    ("cnt", 4): 0x41425443,
    ("cnt", 5): 0x41423343,
}

LAYOUT: Final = Layout(
    "block of a tree of free space",
    56,
    ">",
    "Linux fs/xfs/libxfs/xfs_format.h, struct xfs_btree_block_shdr",
    (
        ("magic", 0, "I"),
        ("level", 4, "H"),
        ("numrecs", 6, "H"),
        ("left", 8, "I"),
        ("right", 12, "I"),
        ("daddr", 16, "Q"),
        ("uuid", 32, "2Q"),
        ("owner", 48, "I"),
        ("crc", 52, "I"),
    ),
)
#: what the header of a block takes, by version
_HEADER: Final = {4: 16, 5: 56}


@attrs.frozen(eq=False)
class Runs:
    """Records of leaves, in their order. ``slot`` is the index of the group, places are blocks of that group."""

    slot: Numbers
    start: Numbers
    length: Numbers


@attrs.frozen(eq=False)
class _Level:
    """The blocks of one level, group by group in their order; what the level above says of the first run in each."""

    slot: Numbers
    place: Numbers
    start: Numbers
    length: Numbers

    def part(self, here: slice | Numbers) -> _Level:
        return _Level(self.slot[here], self.place[here], self.start[here], self.length[here])


class Trees:
    """One kind of tree, ``bno`` or ``cnt``, of some groups."""

    def __init__(self, superblock: Superblock, blocks: Blocks, groups: Groups, name: str) -> None:
        """Read all but the leaves. Raises ``StructureFault``."""
        self._superblock = superblock
        self._blocks = blocks
        self._groups = groups
        self._name = name
        self._places: list[Numbers] = []
        self._leaves = self._descended()

    @property
    def places(self) -> Numbers:
        """The numbers of all blocks of the trees, leaves too, counted from the start of the file system."""
        return np.concatenate(self._places)

    def counts(self) -> Numbers:
        """How many blocks the tree of each group takes."""
        group = self.places // self._superblock.blocks_per_group - self._groups.numbers[0]
        return np.bincount(group, minlength=self._groups.numbers.size)

    def runs(self) -> Iterator[Runs]:
        """The free runs, checked one by one, in the order of the tree. Raises ``StructureFault``."""
        before = np.array([-1, -1])
        for level, rows, counts in self._read(self._leaves, 0):
            header = _HEADER[self._superblock.version]
            most = (rows.shape[1] - header) // 8
            records = np.ascontiguousarray(rows[:, header : header + most * 8]).view(">u4").reshape(-1, most, 2)
            self._check_first(level, records[:, 0], counts)
            present = np.arange(most) < counts[:, np.newaxis]
            start, length = records[present].astype(np.int64).T
            runs = Runs(np.repeat(level.slot, counts), start, length)
            before = self._check_runs(runs, before)
            yield runs

    # --- going down -----------------------------------------------------------------------------

    def _descended(self) -> _Level:
        """The leaves."""
        heights, roots = self._groups.heights[self._name], self._groups.roots[self._name]
        above = _Level(*(np.empty(0, dtype=np.int64) for _ in range(4)))
        for height in range(int(heights.max()) - 1, -1, -1):
            fresh = np.flatnonzero(heights == height + 1)
            unknown = np.full(fresh.size, -1)
            level = _Level(
                np.concatenate((above.slot, fresh)),
                np.concatenate((above.place, roots[fresh])),
                np.concatenate((above.start, unknown)),
                np.concatenate((above.length, unknown)),
            )
            level = level.part(np.argsort(level.slot, kind="stable"))
            self._check_places(level)
            above = self._children(level, height) if height else level
        return above

    def _check_places(self, level: _Level) -> None:
        """Each block lies in its group, and is the child of one only: so no hostile tree is longer than its group."""
        sane = (level.place >= self._superblock.header_blocks) & (level.place < self._groups.length[level.slot])
        if not sane.all():
            self._fault(level, ~sane, "lies outside its allocation group")
        if level.place.size > MOST_BLOCKS:
            raise StructureFault(f"a level of the trees of free space has {level.place.size} blocks: too many")
        places = self._global(level)
        if np.unique(places).size < places.size:
            raise StructureFault(f"two places of a tree of free space ({self._name}) name the same block")
        self._places.append(places)

    def _global(self, level: _Level) -> Numbers:
        return self._groups.numbers[level.slot] * self._superblock.blocks_per_group + level.place

    def _children(self, level: _Level, height: int) -> _Level:
        parts = []
        for part, rows, counts in self._read(level, height):
            header = _HEADER[self._superblock.version]
            most = (rows.shape[1] - header) // 12
            keys = np.ascontiguousarray(rows[:, header : header + most * 8]).view(">u4").reshape(-1, most, 2)
            children = np.ascontiguousarray(rows[:, header + most * 8 : header + most * 12]).view(">u4")
            self._check_first(part, keys[:, 0], counts)
            present = np.arange(most) < counts[:, np.newaxis]
            start, length = keys[present].astype(np.int64).T
            parts.append(
                _Level(np.repeat(part.slot, counts), children[present].astype(np.int64), start, length),
            )
        return _Level(
            *(
                np.concatenate([getattr(part, field) for part in parts])
                for field in ("slot", "place", "start", "length")
            )
        )

    def _read(self, level: _Level, height: int) -> Iterator[tuple[_Level, Rows, Numbers]]:
        """The blocks of a level, checked, a few at a time: which, their bytes, how many records each has."""
        left, right = np.full(level.place.size, _NONE), np.full(level.place.size, _NONE)
        linked = np.flatnonzero(np.diff(level.slot) == 0)
        left[linked + 1], right[linked] = level.place[linked], level.place[linked + 1]
        width = max(1, _BATCH // self._superblock.block_size)
        for first in range(0, level.place.size, width):
            here = slice(first, first + width)
            part = level.part(here)
            rows = self._blocks.gather(self._global(part), LAYOUT.name)
            table = rows.view(LAYOUT.columns(rows.shape[1])).reshape(-1)
            self._check_header(part, rows, table)
            counts = table["numrecs"].astype(np.int64)
            record = 12 if height else 8
            fits = counts <= (rows.shape[1] - _HEADER[self._superblock.version]) // record
            # only the single leaf of a group without free space is empty
            alone = (left[here] == _NONE) & (right[here] == _NONE) & (height == 0)
            for field, sane in (
                ("level", table["level"] == height),
                ("numrecs", fits & ((counts > 0) | alone)),
                ("left", table["left"] == left[here]),
                ("right", table["right"] == right[here]),
            ):
                if not sane.all():
                    self._fault(part, ~sane, f"cannot be true: {field}")
            yield part, rows, counts

    # --- checks ---------------------------------------------------------------------------------

    def _check_header(self, part: _Level, rows: Rows, table: NDArray[Any]) -> None:
        superblock = self._superblock
        checks = [("magic", table["magic"] == _MAGICS[self._name, superblock.version])]
        if superblock.checks:
            own = np.frombuffer(superblock.uuid, dtype=">u8")
            checks += [
                ("daddr", table["daddr"] == self._global(part) * (superblock.block_size // 512)),
                ("owner", table["owner"] == self._groups.numbers[part.slot]),
                ("uuid", (table["uuid"] == own).all(axis=1)),
            ]
        for field, sane in checks:
            if not sane.all():
                self._fault(part, ~sane, f"cannot be true: {field}")
        wrong = unsealed(rows, LAYOUT.offset_of("crc")) if superblock.checks else np.empty(0, dtype=np.int64)
        if wrong.size:
            self._fault(part.part(wrong), np.ones(wrong.size, dtype=np.bool_), "does not fit its checksum")

    def _check_first(self, part: _Level, first: NDArray[Any], counts: Numbers) -> None:
        """The first run in a block is the one that the block above says. Roots have nothing above."""
        told = np.stack((part.start, part.length), axis=1)
        sane = (first == told).all(axis=1) | (part.start < 0) | (counts == 0)
        if not sane.all():
            self._fault(part, ~sane, "does not begin with the run that the block above it says")

    def _check_runs(self, runs: Runs, before: Numbers) -> Numbers:
        """Each run is inside its group and in order. ``before`` and the result: the last slot, and the next least."""
        end = runs.start + runs.length
        sane = (runs.start >= self._superblock.header_blocks) & (runs.length > 0)
        sane &= end <= self._groups.length[runs.slot]
        if not sane.all():
            raise StructureFault(f"a free run ({self._name}) lies outside its allocation group")
        if not runs.slot.size:
            return before
        order = runs.start if self._name == "bno" else runs.length << 32 | runs.start
        past = end if self._name == "bno" else order + 1
        same = np.diff(np.concatenate((before[:1], runs.slot))) == 0
        behind = order < np.concatenate((before[1:2], past[:-1]))
        if (same & behind).any():
            raise StructureFault(f"free runs ({self._name}) overlap, or are not in order")
        return np.array([runs.slot[-1], past[-1]])

    def _fault(self, level: _Level, wrong: NDArray[np.bool_], because: str) -> None:
        at = int(np.flatnonzero(wrong)[0])
        group, place = int(self._groups.numbers[level.slot[at]]), int(level.place[at])
        raise StructureFault(
            f"block {place} of allocation group {group}, of its tree of free space ({self._name}), {because}"
        )
