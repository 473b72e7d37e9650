"""Which blobs one image needs, each counted once."""

from __future__ import annotations

from collections.abc import Iterable

from holdstill.repository.index import Place
from holdstill.repository.layout import BlobKind


class Needs:
    """A bit for each row of the index; a blob that has no row yet is remembered by name until it has one."""

    def __init__(self) -> None:
        self._bits = bytearray()
        self._by_name: set[tuple[BlobKind, bytes]] = set()

    def fresh(self, name: tuple[BlobKind, bytes], size: int) -> int:
        """``size`` the first time, 0 each further time."""
        if name in self._by_name:
            return 0
        self._by_name.add(name)
        return size

    def packed(self, names: Iterable[tuple[BlobKind, bytes]], first: int) -> None:
        """These blobs have rows now, numbered from ``first`` on."""
        for ordinal, name in enumerate(names, first):
            if name in self._by_name:
                self._by_name.remove(name)
                self._mark(ordinal)

    def stored(self, place: Place) -> int:
        """The blob's encoded bytes the first time, 0 each further time."""
        return place.length if self._mark(place.ordinal) else 0

    def _mark(self, ordinal: int) -> bool:
        at, bit = divmod(ordinal, 8)
        if at >= len(self._bits):
            self._bits.extend(bytes(max(at + 1 - len(self._bits), len(self._bits), 4096)))
        before = self._bits[at]
        self._bits[at] |= 1 << bit
        return self._bits[at] != before
