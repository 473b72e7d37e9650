"""Which index segments name which packs."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from holdstill.repository.index import Flags

#: two columns: a segment's number, and a pack's place in the index
Pairs = NDArray[np.uint32]


class Naming:
    """Pairs of segments and packs, eight bytes each. Packs by their places in one index."""

    def __init__(self, segments: Iterable[str] = (), pairs: Pairs | None = None) -> None:
        """With what is known already."""
        self.segments = list(segments)
        self._flat = array("I", b"" if pairs is None else pairs.astype(np.uint32).tobytes())

    def add(self, segment: str, places: Iterable[int]) -> None:
        """This segment names these packs."""
        number = len(self.segments)
        self.segments.append(segment)
        for place in places:
            self._flat.extend((number, place))

    @property
    def pairs(self) -> Pairs:
        """All of them, a copy."""
        return np.array(self._flat, dtype=np.uint32).reshape(-1, 2)

    def only(self, segments: Iterable[str]) -> Naming:
        """What these segments name."""
        wanted = set(segments)
        kept = [number for number, segment in enumerate(self.segments) if segment in wanted]
        renumbered = np.full(len(self.segments), -1, dtype=np.int64)
        renumbered[kept] = np.arange(len(kept))
        pairs = self.pairs.astype(np.int64)
        pairs[:, 0] = renumbered[pairs[:, 0]]
        return Naming([self.segments[number] for number in kept], pairs[pairs[:, 0] >= 0].astype(np.uint32))

    def named(self, count: int) -> Flags:
        """For each of so many packs: does any segment name it?"""
        return self.named_by(lambda _: True, np.ones(count, dtype=np.bool_))

    def named_by(self, wanted: Callable[[str], bool], among: Flags) -> Flags:
        """For each pack: is it one of ``among``, and does a ``wanted`` segment name it? Only of segments that name such
        packs is asked whether they are wanted.
        """
        numbers, places = self.pairs.T
        asked = np.zeros(len(numbers), dtype=np.bool_)
        known = places < len(among)
        asked[known] = among[places[known]]
        good = np.zeros(len(self.segments), dtype=np.bool_)
        for number in sorted(set(numbers[asked].tolist())):
            good[number] = wanted(self.segments[number])
        flags = np.zeros(len(among), dtype=np.bool_)
        flags[places[asked & good[numbers]]] = True
        return flags

    def by_segment(self) -> dict[str, list[int]]:
        """The packs that each segment names."""
        found: dict[str, list[int]] = {}
        for number, place in self.pairs.tolist():
            found.setdefault(self.segments[number], []).append(place)
        return found
