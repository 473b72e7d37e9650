"""Which blobs one image needs, each counted once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from holdstill.repository.layout import BlobKind


class Needs:
    """A bit for each row of the index; a blob that has no row yet is remembered by name until it has one."""

    def __init__(self) -> None:
        self._bits = np.zeros(0, dtype=np.uint8)
        self._by_name: set[tuple[BlobKind, bytes]] = set()

    def fresh(self, name: tuple[BlobKind, bytes], size: int) -> int:
        """``size`` the first time, 0 each further time."""
        if name in self._by_name:
            return 0
        self._by_name.add(name)
        return size

    def packed(self, names: Sequence[tuple[BlobKind, bytes]], first: int) -> None:
        """These blobs have rows now, numbered from ``first`` on."""
        needed = [ordinal for ordinal, name in enumerate(names, first) if name in self._by_name]
        self._by_name.difference_update(names)
        self._mark(np.array(needed, dtype=np.uint32))

    def first(self, ordinals: NDArray[np.uint32]) -> NDArray[np.bool_]:
        """Which of these rows were not needed yet; of those that are named twice, one."""
        order = np.argsort(ordinals, kind="stable")
        ascending = ordinals[order]
        distinct = np.ones(ordinals.size, dtype=np.bool_)
        distinct[1:] = ascending[1:] != ascending[:-1]
        flags = np.zeros(ordinals.size, dtype=np.bool_)
        flags[order[distinct]] = self._mark(ascending[distinct])
        return flags

    def _mark(self, ordinals: NDArray[np.uint32]) -> NDArray[np.bool_]:
        """Set the bits of distinct rows. True where a bit was not set before."""
        if not ordinals.size:
            return np.zeros(0, dtype=np.bool_)
        places, bits = ordinals >> 3, np.uint8(1) << (ordinals & 7).astype(np.uint8)
        short = int(places.max()) + 1 - self._bits.size
        if short > 0:
            more = max(short, self._bits.size, 4096)
            self._bits = np.concatenate((self._bits, np.zeros(more, dtype=np.uint8)))
        new = self._bits[places] & bits == 0
        np.bitwise_or.at(self._bits, places, bits)
        return np.asarray(new)
