"""The packs of an index, 56 bytes each: a pack is looked up by place, or by key."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final, overload

import attrs
import numpy as np
from numpy.typing import NDArray

from holdstill.repository import layout
from holdstill.repository.runs import Table

#: writer's number, random, ordinal of the first row, rows, size of the object, mark of the rows
PACK: Final = np.dtype(
    [("number", "<u8"), ("random", "V16"), ("first", "<u8"), ("rows", "<u4"), ("size", "<u4"), ("mark", "V16")]
)
#: what a pack's key tells
NAME: Final = np.dtype([("number", "<u8"), ("random", "V16")])
#: so many names are in a dictionary, some 200 bytes each; the others are sorted, 12 bytes each
_NEW: Final = 1 << 14

Words = NDArray[np.uint64]


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
        self._sorted = self._by_prefix(np.arange(self._count, dtype=np.uint32))

    def append(self, key: str, size: int, rows: int, first: int, mark: bytes) -> int:
        """One more; its place."""
        number, random = _split(key)
        if self._count == len(self._table):
            more = np.zeros(max(64, self._count // 2), dtype=PACK)
            self._table = np.concatenate((self._table, more))
        self._table[self._count] = (number, np.void(random), first, rows, size, np.void(mark))
        self._places[_name(number, random)] = self._count
        self._count += 1
        if len(self._places) > _NEW:
            new = np.fromiter(self._places.values(), dtype=np.uint32)
            self._sorted = self._by_prefix(np.concatenate((self._sorted.wheres, new)))
            self._places = {}
        return self._count - 1

    def _by_prefix(self, places: NDArray[np.uint32]) -> Table:
        prefixes = prefixes_of(self._table[places])
        order = np.argsort(prefixes, kind="stable")
        return Table(prefixes[order], places[order])

    def place_of(self, key: str) -> int | None:
        """The pack's place, or None."""
        number, random = _split(key)
        if (place := self._places.get(_name(number, random))) is not None:
            return place
        known = self._sorted
        prefix = np.frombuffer(random, dtype="<u8", count=1)[0]
        at = int(known.prefixes.searchsorted(prefix))
        while at < len(known.prefixes) and known.prefixes[at] == prefix:
            place = int(known.wheres[at])
            if self._table[place]["number"] == number and self._table[place]["random"].tobytes() == random:
                return place
            at += 1
        return None

    def places_of(self, names: NDArray[np.void]) -> NDArray[np.int64]:
        """The places of many packs, -1 for those that are not known. ``names``: of dtype ``NAME``."""
        places = np.full(len(names), -1, dtype=np.int64)
        which, at = self._sorted.find(prefixes_of(names))
        same = names[which] == self.names[at]
        places[which[same]] = at[same]
        if self._places:
            for number in np.flatnonzero(places < 0).tolist():
                places[number] = self._places.get(names[number].tobytes(), -1)
        return places

    def named(self, keys: Collection[str], numbers: Collection[int]) -> NDArray[np.bool_]:
        """For each pack: is it one of these, or of one of these writers?"""
        possible = [number for number in numbers if 0 <= number < 1 << 64]
        flags = np.isin(self.table["number"], np.array(possible, dtype=np.uint64))
        split = [each for each in map(layout.split_pack_key, keys) if each is not None]
        wanted = np.frombuffer(b"".join(bytes.fromhex(random) for _, random in split), dtype="V16")
        likely = np.flatnonzero(~flags & np.isin(prefixes_of(self.names), _words(wanted)))
        for place in likely.tolist():
            flags[place] = self[place].key in keys
        return flags

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
        self._sorted = self._by_prefix(np.zeros(0, dtype=np.uint32))

    def owners(self, ordinals: NDArray[np.int64]) -> NDArray[np.int64]:
        """The places of the packs whose rows these are."""
        firsts = self._table["first"][: self._count]
        return np.searchsorted(firsts, ordinals.astype(np.uint64), side="right") - 1

    @property
    def table(self) -> NDArray[np.void]:
        """All that is known, of dtype ``PACK``."""
        return self._table[: self._count]

    @property
    def names(self) -> NDArray[np.void]:
        """What the keys of all of them tell, of dtype ``NAME``."""
        names = np.empty(self._count, dtype=NAME)
        names["number"], names["random"] = self.table["number"], self.table["random"]
        return names

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


def prefixes_of(packs: NDArray[np.void]) -> Words:
    """The first eight bytes of the random of each pack, as numbers."""
    return _words(packs["random"])


def _words(randoms: NDArray[np.void]) -> Words:
    return np.frombuffer(randoms.tobytes(), dtype="<u8")[::2].astype(np.uint64)


def _split(key: str) -> tuple[int, bytes]:
    split = layout.split_pack_key(key)
    assert split is not None, key
    return split[0], bytes.fromhex(split[1])


def _name(number: int, random: bytes) -> bytes:
    return number.to_bytes(8, "little") + random
