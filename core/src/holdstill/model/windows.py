"""The algebra on *streams* of extents, for maps that are too long to hold at once.

A stream is an iterable of ``Extents`` windows that ascend and do not overlap: each window starts at or after the end of
the one before. How a set is cut into windows never matters. What these functions yield has no empty windows, and no run
touches one of the next window. Each needs the memory of one window of each stream it reads, and reads no further
ahead. All sizes and offsets are bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from holdstill.model.extents import Extents, union_of


def normalise(windows: Iterable[Extents], size: int, *, overhang: int = 0) -> Iterator[Extents]:
    """Take nobody's word: sorted, merged, ascending, clamped to a volume of ``size`` bytes.

    A file system that counts in blocks may claim its last block whole: up to ``overhang`` bytes past the end are cut
    off. Raises ValueError for a window that goes back, and for a claim further out than that.
    """
    return joined(_checked(windows, size, overhang))


def joined(windows: Iterable[Extents]) -> Iterator[Extents]:
    """The same set, runs that touch across two windows made one."""
    return _closing(windows, lambda runs: runs)


def coalesce(windows: Iterable[Extents], gap: int) -> Iterator[Extents]:
    """Join runs whose distance is at most ``gap`` bytes."""
    return _closing(windows, lambda runs: runs.coalesce(gap))


def align(windows: Iterable[Extents], unit: int, size: int) -> Iterator[Extents]:
    """The smallest superset that consists of whole ``unit``-byte pieces; the last piece ends at ``size``."""
    return _closing(windows, lambda runs: runs.align(unit, size))


def union(one: Iterable[Extents], other: Iterable[Extents]) -> Iterator[Extents]:
    """The bytes in either stream."""
    return joined(_interleaved(_Feed(one), _Feed(other)))


def difference(one: Iterable[Extents], other: Iterable[Extents]) -> Iterator[Extents]:
    """The bytes of ``one`` that are not in ``other``."""
    return joined(_remaining(_Feed(one), _Feed(other)))


def complement(windows: Iterable[Extents], size: int) -> Iterator[Extents]:
    """The bytes of ``[0, size)`` that are not in the stream, which must lie inside."""
    at = 0
    for window in windows:
        if not window:
            continue
        starts = np.concatenate((np.array([at], dtype=np.int64), window.ends[:-1]))
        keep = starts < window.starts
        if keep.any():
            yield Extents(starts[keep], window.starts[keep])
        at = window.end
    if at < size:
        yield Extents.of((at, size - at))


def regroup(windows: Iterable[Extents], width: int) -> Iterator[tuple[int, Extents]]:
    """Cut the stream at multiples of ``width``: ``(start, all of the set in [start, start + width))``, empty ones left
    out. Needs the memory of one such piece.
    """
    place, parts = 0, list[Extents]()
    for window in windows:
        for start, _, part in window.windows(width, window.end):
            if parts and start != place:
                yield place, union_of(parts)
                parts = []
            place = start
            parts.append(part)
    if parts:
        yield place, union_of(parts)


def _checked(windows: Iterable[Extents], size: int, overhang: int) -> Iterator[Extents]:
    reached = 0
    for window in windows:
        runs = Extents.from_arrays(window.starts, window.ends - window.starts)
        if not runs:
            continue
        if int(runs.starts[0]) < reached:
            raise ValueError(f"goes back to offset {int(runs.starts[0])} after {reached}")
        reached = runs.end
        if reached > size + overhang:
            raise ValueError(f"claims bytes up to {reached} of a volume of {size}")
        yield runs.clip(0, size)


def _closing(windows: Iterable[Extents], close: Callable[[Extents], Extents]) -> Iterator[Extents]:
    """``close`` each window together with the last run before it, which is held back because it may still grow."""
    last = Extents.none()
    for window in windows:
        if not window:
            continue
        runs = close(last.union(window))
        last = Extents(runs.starts[-1:], runs.ends[-1:])
        if len(runs) > 1:
            yield Extents(runs.starts[:-1], runs.ends[:-1])
    if last:
        yield last


def _interleaved(one: _Feed, other: _Feed) -> Iterator[Extents]:
    while one.head and other.head:
        border = min(one.head.end, other.head.end)
        yield one.take(border).union(other.take(border))
    for feed in (one, other):
        while feed.head:
            yield feed.take(feed.head.end)


def _remaining(one: _Feed, other: _Feed) -> Iterator[Extents]:
    while one.head and other.head:
        border = min(one.head.end, other.head.end)
        yield one.take(border).difference(other.take(border))
    while one.head:
        yield one.take(one.head.end)


class _Feed:
    """A stream that can be read up to an offset; ``head`` is what is left of the present window."""

    def __init__(self, windows: Iterable[Extents]) -> None:
        self._windows = iter(windows)
        self.head = self._next()

    def take(self, border: int) -> Extents:
        """What of the head lies before ``border``."""
        taken = self.head.clip(0, border)
        self.head = self.head.clip(border, self.head.end) or self._next()
        return taken

    def _next(self) -> Extents:
        return next((window for window in self._windows if window), Extents.none())
