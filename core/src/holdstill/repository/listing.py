"""The packs that a listing of the target shows, some forty bytes each, and compared with an index all at once."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from holdstill.repository import layout
from holdstill.repository.pack_table import NAME, PackTable, Words, prefixes_of
from holdstill.repository.runs import Table
from holdstill.spi.target import Listed

#: the size of a pack that the listing shows without one, and of one that it does not show
UNTOLD: Final = -1
ABSENT: Final = -2

Sizes = NDArray[np.int64]


class Listing:
    """What was listed, in bytes of size. Immutable."""

    def __init__(self, listed: Iterable[Listed]) -> None:
        """Of a listing of packs; keys that are none are passed over. The last size that it shows of a pack counts."""
        numbers, randoms, sizes = array("Q"), bytearray(), array("q")
        for each in listed:
            if (split := layout.split_pack_key(each.key)) is not None:
                numbers.append(split[0])
                randoms += bytes.fromhex(split[1])
                sizes.append(max(each.size, UNTOLD))
        self._names = np.empty(len(numbers), dtype=NAME)
        self._names["number"] = np.frombuffer(numbers, dtype=np.uint64)
        self._names["random"] = np.frombuffer(bytes(randoms), dtype="V16")
        self._sizes = np.array(sizes, dtype=np.int64)
        prefixes: Words = prefixes_of(self._names)
        order = np.argsort(prefixes, kind="stable").astype(np.uint32)
        self._table = Table(prefixes[order], order)

    def __contains__(self, key: object) -> bool:
        split = layout.split_pack_key(key) if isinstance(key, str) else None
        if split is None:
            return False
        name = np.array([(split[0], np.void(bytes.fromhex(split[1])))], dtype=NAME)
        return bool(self._sizes_of(name)[0] != ABSENT)

    @property
    def latest(self) -> int:
        """The highest number of a writer of these packs; 0 if there are none."""
        return int(self._names["number"].max(initial=0))

    def sizes(self, packs: PackTable) -> Sizes:
        """Of each pack of an index its size, ``UNTOLD`` or ``ABSENT``."""
        return self._sizes_of(packs.names)

    def _sizes_of(self, names: NDArray[np.void]) -> Sizes:
        sizes = np.full(len(names), ABSENT, dtype=np.int64)
        which, at = self._table.find(prefixes_of(names))
        same = names[which] == self._names[at]
        sizes[which[same]] = self._sizes[at[same]]
        return sizes

    def places(self, packs: PackTable) -> NDArray[np.int64]:
        """Of each listed pack its place in an index, -1 where that has none."""
        return packs.places_of(self._names)

    def some(self, which: NDArray[np.bool_]) -> Iterator[tuple[str, int]]:
        """Keys and sizes of those that have a flag, in the order of the keys."""
        names, sizes = self._names[which].tolist(), self._sizes[which].tolist()
        found = (
            (layout.pack_key(number, random.hex()), size) for (number, random), size in zip(names, sizes, strict=True)
        )
        return iter(sorted(found))
