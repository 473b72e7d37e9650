"""The packs of an index, 56 bytes each: a pack is looked up by place, or by key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, overload

import attrs
import numpy as np
from numpy.typing import NDArray

from holdstill.repository import layout

#: writer's number, random, ordinal of the first row, rows, size of the object, mark of the rows
PACK: Final = np.dtype(
    [("number", "<u8"), ("random", "V16"), ("first", "<u8"), ("rows", "<u4"), ("size", "<u4"), ("mark", "V16")]
)


@attrs.frozen
class KnownPack:
    """A pack of the index. ``size`` is the whole object's, as its rows imply."""

    key: str
    size: int
    rows: int
    first: int
    """The ordinal of its first row."""
    mark: bytes
    """A digest of its rows: does the pack itself say the same?"""


class PackTable(Sequence[KnownPack]):
    """Grows at its end. Looking is thread-safe while it grows; growing is not."""

    def __init__(self, known: NDArray[np.void] | None = None) -> None:
        """With the packs that are ``known`` already (of dtype ``PACK``)."""
        self._table = np.zeros(0, dtype=PACK) if known is None else known
        self._count = len(self._table)
        self._places: dict[bytes, int] = {}
        self._first_new = self._count
        prefixes = np.frombuffer(self._table["random"].tobytes(), dtype="<u8")[::2]
        self._order = np.argsort(prefixes, kind="stable")
        self._prefixes = prefixes[self._order]

    def append(self, key: str, size: int, rows: int, first: int, mark: bytes) -> int:
        """One more; its place."""
        number, random = _split(key)
        if self._count == len(self._table):
            more = np.zeros(max(64, self._count // 2), dtype=PACK)
            self._table = np.concatenate((self._table, more))
        self._table[self._count] = (number, np.void(random), first, rows, size, np.void(mark))
        self._places[_name(number, random)] = self._count
        self._count += 1
        return self._count - 1

    def place_of(self, key: str) -> int | None:
        """The pack's place, or None."""
        number, random = _split(key)
        if (place := self._places.get(_name(number, random))) is not None:
            return place
        prefix = np.frombuffer(random, dtype="<u8", count=1)[0]
        at = int(np.searchsorted(self._prefixes, prefix))
        while at < self._first_new and self._prefixes[at] == prefix:
            known = int(self._order[at])
            if self._table[known]["number"] == number and self._table[known]["random"].tobytes() == random:
                return known
            at += 1
        return None

    def rename(self, place: int, key: str) -> None:
        """What was known of this pack is told of another, ``key``; its own key may be appended once more."""
        self._places.pop(_name(*_split(self[place].key)), None)
        number, random = _split(key)
        if not self._table.flags.writeable:
            self._table = self._table.copy()
        self._table[place]["number"], self._table[place]["random"] = number, np.void(random)

    def start_over(self) -> None:
        """None is found by its key any more; each may be appended once more."""
        self._places = {}
        self._first_new = 0

    def owners(self, ordinals: NDArray[np.int64]) -> NDArray[np.int64]:
        """The places of the packs whose rows these are."""
        firsts = self._table["first"][: self._count]
        return np.searchsorted(firsts, ordinals.astype(np.uint64), side="right") - 1

    @property
    def table(self) -> NDArray[np.void]:
        """All that is known, of dtype ``PACK``."""
        return self._table[: self._count]

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, place: int) -> KnownPack: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[KnownPack]: ...

    def __getitem__(self, place: int | slice) -> KnownPack | Sequence[KnownPack]:
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(self._count))]
        if not -self._count <= place < self._count:
            raise IndexError(place)
        number, random, first, rows, size, mark = self._table[: self._count][place].item()
        return KnownPack(layout.pack_key(number, random.hex()), size, rows, first, mark)

    def __iter__(self) -> Iterator[KnownPack]:
        return (self[place] for place in range(self._count))


def _split(key: str) -> tuple[int, bytes]:
    split = layout.split_pack_key(key)
    assert split is not None, key
    return split[0], bytes.fromhex(split[1])


def _name(number: int, random: bytes) -> bytes:
    return number.to_bytes(8, "little") + random
