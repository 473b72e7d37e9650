"""Sets of byte ranges, and the algebra on them.

An ``Extents`` is a set of bytes of one address space, written as sorted, disjoint, non-touching runs.
All sizes and offsets are bytes. Every operation is a few numpy calls, whatever the number of runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

Offsets = NDArray[np.int64]

#: no offset or end may exceed this, so that sums of two never overflow an int64
LIMIT: Final = 1 << 62

_NONE: Final[Offsets] = np.empty(0, dtype=np.int64)
_NONE.setflags(write=False)


class Extents:
    """An immutable set of bytes, as runs ``[starts[i], ends[i])``.

    ``starts`` and ``ends`` are read-only int64 arrays of equal length with
    ``0 <= starts[i] < ends[i] < starts[i + 1]``. Build one with ``of``, ``from_arrays`` or ``from_bitmap``; these sort
    and merge whatever they are given.
    """

    __slots__ = ("ends", "starts")

    starts: Offsets
    ends: Offsets

    def __init__(self, starts: Offsets, ends: Offsets) -> None:
        """Take arrays that are canonical already (see the class); they become read-only."""
        starts.setflags(write=False)
        ends.setflags(write=False)
        self.starts = starts
        self.ends = ends

    # --- making ---------------------------------------------------------------------------------

    @classmethod
    def none(cls) -> Extents:
        """The empty set."""
        return cls(_NONE, _NONE)

    @classmethod
    def whole(cls, size: int) -> Extents:
        """All bytes of a volume of ``size`` bytes."""
        return cls.of((0, size))

    @classmethod
    def of(cls, *runs: tuple[int, int]) -> Extents:
        """From ``(offset, length)`` pairs in any order, overlapping or not.

        Raises ValueError for a negative offset or length, or an end past ``LIMIT``.
        """
        pairs = np.array(runs, dtype=object).reshape(-1, 2)
        for offset, length in pairs:
            if offset < 0 or length < 0 or offset + length > LIMIT:
                raise ValueError(f"no such range: offset {offset}, length {length}")
        table = pairs.astype(np.int64)
        return cls.from_arrays(table[:, 0], table[:, 1])

    @classmethod
    def from_arrays(cls, offsets: Offsets, lengths: Offsets) -> Extents:
        """From two int64 arrays in any order, overlapping or not; empty runs are dropped.

        Raises ValueError for a negative offset or length, or an end past ``LIMIT``.
        """
        offsets = np.asarray(offsets, dtype=np.int64)
        lengths = np.asarray(lengths, dtype=np.int64)
        if offsets.shape != lengths.shape or offsets.ndim != 1:
            raise ValueError("offsets and lengths must be two flat arrays of one length")
        if offsets.size == 0:
            return cls.none()
        if offsets.min() < 0 or lengths.min() < 0 or bool((offsets > LIMIT - lengths).any()):
            raise ValueError("a range is negative or ends past the largest offset")
        return cls._merged(offsets, offsets + lengths)

    @classmethod
    def from_bitmap(cls, bits: NDArray[np.bool_], unit: int, base: int = 0) -> Extents:
        """From one flag for each unit of ``unit`` bytes, the first unit at offset ``base``.

        Raises ValueError if the bitmap begins before 0 or ends past ``LIMIT``.
        """
        if base < 0 or unit <= 0 or base + bits.size * unit > LIMIT:
            raise ValueError(f"no such bitmap: {bits.size} units of {unit} bytes at {base}")
        flags = np.zeros(bits.size + 2, dtype=np.int8)
        flags[1:-1] = bits
        edges = np.flatnonzero(np.diff(flags)).astype(np.int64) * unit + base
        return cls(edges[0::2].copy(), edges[1::2].copy())

    @classmethod
    def _merged(cls, starts: Offsets, ends: Offsets) -> Extents:
        keep = ends > starts
        if not keep.all():
            starts, ends = starts[keep], ends[keep]
        if starts.size <= 1:
            return cls(starts.copy(), ends.copy())
        if bool((starts[1:] < starts[:-1]).any()):
            order = np.argsort(starts, kind="stable")
            starts, ends = starts[order], ends[order]
        reach = np.maximum.accumulate(ends)
        head = np.empty(starts.size, dtype=np.bool_)
        head[0] = True
        np.greater(starts[1:], reach[:-1], out=head[1:])
        first = np.flatnonzero(head)
        last = np.append(first[1:], starts.size) - 1
        return cls(starts[first], reach[last])

    # --- looking --------------------------------------------------------------------------------

    @property
    def lengths(self) -> Offsets:
        """The length of each run."""
        return self.ends - self.starts

    @property
    def total(self) -> int:
        """How many bytes are in the set."""
        return int((self.ends - self.starts).sum())

    @property
    def end(self) -> int:
        """The offset just past the last byte; 0 for the empty set."""
        return int(self.ends[-1]) if self.ends.size else 0

    def __len__(self) -> int:
        return int(self.starts.size)

    def __bool__(self) -> bool:
        return self.starts.size > 0

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """``(offset, length)`` of each run. For tests and small sets: a Python loop."""
        return zip(self.starts.tolist(), (self.ends - self.starts).tolist(), strict=True)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Extents):
            return NotImplemented
        return np.array_equal(self.starts, other.starts) and np.array_equal(self.ends, other.ends)

    __hash__ = None  # type: ignore[assignment]  # compared by content, and arrays do not hash

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{offset}+{length}" for offset, length in zip(self.starts[:4], self.lengths[:4], strict=True)
        )
        return f"Extents({len(self)} runs, {self.total} bytes: {shown}{', ...' if len(self) > 4 else ''})"

    def __contains__(self, offset: int) -> bool:
        at = int(np.searchsorted(self.starts, offset, side="right")) - 1
        return at >= 0 and offset < int(self.ends[at])

    def covers(self, other: Extents) -> bool:
        """Is every byte of ``other`` in this set?"""
        return not other.difference(self)

    # --- algebra --------------------------------------------------------------------------------

    def union(self, other: Extents) -> Extents:
        """The bytes in either."""
        return Extents._merged(np.concatenate((self.starts, other.starts)), np.concatenate((self.ends, other.ends)))

    def intersection(self, other: Extents) -> Extents:
        """The bytes in both."""
        if not self or not other:
            return Extents.none()
        first = np.searchsorted(other.ends, self.starts, side="right")
        past = np.searchsorted(other.starts, self.ends, side="left")
        count = past - first
        mine = np.repeat(np.arange(len(self)), count)
        skipped = np.repeat(np.cumsum(count) - count, count)
        theirs = np.arange(mine.size) - skipped + np.repeat(first, count)
        return Extents(
            np.maximum(self.starts[mine], other.starts[theirs]), np.minimum(self.ends[mine], other.ends[theirs])
        )

    def complement(self, size: int) -> Extents:
        """The bytes of ``[0, size)`` that are not in the set."""
        if not 0 <= size <= LIMIT:
            raise ValueError(f"no such size: {size}")
        inside = self.clip(0, size)
        starts = np.concatenate((np.zeros(1, dtype=np.int64), inside.ends))
        ends = np.concatenate((inside.starts, np.array([size], dtype=np.int64)))
        keep = ends > starts
        return Extents(starts[keep], ends[keep])

    def difference(self, other: Extents) -> Extents:
        """The bytes in this set that are not in ``other``."""
        return self.intersection(other.complement(self.end))

    def clip(self, start: int, end: int) -> Extents:
        """The bytes in ``[start, end)``."""
        start, end = max(start, 0), min(end, LIMIT)
        if end <= start:
            return Extents.none()
        first = int(np.searchsorted(self.ends, start, side="right"))
        past = int(np.searchsorted(self.starts, end, side="left"))
        if past <= first:
            return Extents.none()
        return Extents(np.maximum(self.starts[first:past], start), np.minimum(self.ends[first:past], end))

    def coalesce(self, gap: int) -> Extents:
        """Join runs whose distance is at most ``gap`` bytes (reading across is cheaper than seeking)."""
        if len(self) < 2 or gap <= 0:
            return self
        split = self.starts[1:] - self.ends[:-1] > gap
        starts = self.starts[np.concatenate(([True], split))]
        ends = self.ends[np.concatenate((split, [True]))]
        return Extents(starts, ends)

    def align(self, unit: int, size: int) -> Extents:
        """The smallest superset that consists of whole ``unit``-byte pieces; the last piece ends at ``size``.

        ``unit`` is at most ``LIMIT``; the set lies inside ``[0, size)``, else ValueError.
        """
        if not 0 < unit <= LIMIT or self.end > size:
            raise ValueError(f"cannot align {self} to pieces of {unit} in {size} bytes")
        starts = self.starts // unit * unit
        ends = np.minimum(-(-self.ends // unit) * unit, size)
        return Extents._merged(starts, ends)

    def shift(self, by: int) -> Extents:
        """The same set, ``by`` bytes further on. Raises ValueError if it would leave ``[0, LIMIT)``."""
        if self and (int(self.starts[0]) + by < 0 or self.end + by > LIMIT):
            raise ValueError(f"cannot move {self} by {by}")
        return Extents(self.starts + by, self.ends + by)

    def to_bitmap(self, unit: int, start: int, end: int) -> NDArray[np.bool_]:
        """One flag for each ``unit``-byte piece of ``[start, end)``: is any byte of it in the set?

        ``start`` must be a multiple of ``unit``. Memory: one byte a piece, so keep the window bounded.
        """
        pieces = -(-(end - start) // unit)
        inside = self.clip(start, end)
        steps = np.zeros(pieces + 1, dtype=np.int32)
        np.add.at(steps, (inside.starts - start) // unit, 1)
        np.add.at(steps, -(-(inside.ends - start) // unit), -1)
        return np.cumsum(steps[:-1]) > 0

    def windows(self, width: int, size: int) -> Iterator[tuple[int, int, Extents]]:
        """Cut the set at multiples of ``width``: yields ``(start, end, part)`` for the non-empty windows of ``[0,
        size)``.
        """
        if not self:
            return
        at = int(self.starts[0]) // width * width
        while at < size:
            end = min(at + width, size)
            part = self.clip(at, end)
            if part:
                yield at, end, part
            following = int(np.searchsorted(self.ends, end, side="right"))
            if following == len(self):
                return
            at = max(end, int(self.starts[following]) // width * width)


def union_of(sets: Iterable[Extents]) -> Extents:
    """The bytes in any of the sets."""
    parts = list(sets)
    if len(parts) <= 1:
        return parts[0] if parts else Extents.none()
    starts = np.concatenate([part.starts for part in parts])
    ends = np.concatenate([part.ends for part in parts])
    return Extents.from_arrays(starts, ends - starts)
