"""Where each blob is: the rows of all known packs, sorted, in about a hundred bytes each."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import attrs
import numpy as np
from numpy.typing import NDArray

from holdstill.repository import envelope, packs, rows
from holdstill.repository.layout import ID_SIZE, BlobKind
from holdstill.repository.rows import STORED, Rows

Flags = NDArray[np.bool_]
#: which of some rows may be taken
Usable = Callable[[Rows], Flags]

_HELD: Final = np.dtype([*STORED.descr, ("pack", "<u4"), ("offset", "<u4"), ("ordinal", "<u4")])
_NONE: Final = np.empty(0, dtype=_HELD)
#: tables smaller than this are merged whatever their sizes
_SMALL: Final = 4096


@attrs.frozen
class Place:
    """Where a blob is, and what its row says. Offsets and lengths in bytes."""

    pack: int
    """The pack's place in ``Index.packs``."""
    key: str
    offset: int
    id: bytes
    kind: int
    codec: int
    plain_length: int
    length: int
    digest: bytes
    ordinal: int
    """The row's number in this index: small, and its own for ever."""


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


@attrs.frozen
class _Table:
    """Rows sorted by the first eight bytes of their ids, which are digests and so hardly ever agree in them."""

    prefixes: NDArray[np.uint64]
    held: Rows

    @classmethod
    def of(cls, parts: list[Rows]) -> _Table:
        held = np.concatenate(parts)
        prefixes = rows.as_words(held["id"])[:, 0]
        order = np.argsort(prefixes, kind="stable")
        return cls(prefixes[order], held[order])

    def merged(self, other: _Table) -> _Table:
        return _Table.of([self.held, other.held])


class Index:
    """All rows that are known. Looking is thread-safe, also while a pack is added; adding is serialised.

    Rows lie in a few sorted tables of falling size, merged as they grow, so that adding costs little and
    looking never waits.
    """

    def __init__(self) -> None:
        self.packs: list[KnownPack] = []
        self._places: dict[str, int] = {}
        self._tables: tuple[_Table, ...] = ()
        self._lock = threading.Lock()
        self.row_count = 0

    def place_of(self, key: str) -> int | None:
        """The pack's place in ``packs``, or None."""
        return self._places.get(key)

    def add(self, found: Iterable[tuple[str, Rows]]) -> None:
        """Take in packs with all their rows; a pack that is known already is passed over."""
        with self._lock:
            fresh = []
            for key, stored in found:
                if key not in self._places:
                    fresh.append(self._held(key, stored))
            if not fresh:
                return
            tables = [*self._tables, _Table.of(fresh)]
            while len(tables) > 1 and tables[-2].held.size < max(2 * tables[-1].held.size, _SMALL):
                last = tables.pop()
                tables[-1] = tables[-1].merged(last)
            self._tables = tuple(tables)

    def _held(self, key: str, stored: Rows) -> Rows:
        held = np.empty(stored.size, dtype=_HELD)
        for name in STORED.names or ():
            held[name] = stored[name]
        held["pack"] = len(self.packs)
        held["offset"] = envelope.HEADER.size + rows.ends(stored) - stored["encoded"]
        held["ordinal"] = np.arange(self.row_count, self.row_count + stored.size)
        self.row_count += stored.size
        self._places[key] = len(self.packs)
        first = self.row_count - int(stored.size)
        self.packs.append(KnownPack(key, packs.size_of(stored), int(stored.size), first, mark_of(stored)))
        return held

    def places(self, kind: BlobKind, blob_id: bytes) -> list[Place]:
        """Every place of a blob, oldest row first."""
        prefix = np.frombuffer(blob_id, dtype=">u8", count=1).astype(np.uint64)[0]
        found = []
        for table in self._tables:
            at = int(np.searchsorted(table.prefixes, prefix))
            while at < table.prefixes.size and table.prefixes[at] == prefix:
                row = table.held[at]
                if row["kind"] == kind and row["id"].tobytes() == blob_id:
                    found.append(self.place(row))
                at += 1
        return sorted(found, key=lambda place: place.ordinal)

    def locate(self, kind: BlobKind, ids: bytes, usable: Usable) -> tuple[Flags, Rows]:
        """For each of many ids (32 bytes each, none zero): is there a row that is ``usable``, and which.

        Rows that were not found are undefined; a row has the fields of ``STORED``, and pack, offset and ordinal.
        """
        words = rows.as_words(np.frombuffer(ids, dtype=f"V{ID_SIZE}"))
        seen = np.zeros(len(words), dtype=np.bool_)
        chosen = np.zeros(len(words), dtype=_HELD)
        for table in self._tables:
            self._locate_in(table, kind, words, usable, seen, chosen)
        return seen, chosen

    @staticmethod
    def _locate_in(
        table: _Table, kind: BlobKind, words: NDArray[np.uint64], usable: Usable, seen: Flags, chosen: Rows
    ) -> None:
        left = np.flatnonzero(~seen)
        at = np.searchsorted(table.prefixes, words[left, 0])
        while left.size:
            inside = at < table.prefixes.size
            left, at = left[inside], at[inside]
            same = table.prefixes[at] == words[left, 0]
            left, at = left[same], at[same]
            held = table.held[at]
            good = (rows.as_words(held["id"]) == words[left]).all(axis=1) & (held["kind"] == kind) & usable(held)
            chosen[left[good]] = held[good]
            seen[left[good]] = True
            left, at = left[~good], at[~good] + 1

    def rows_of(self, wanted: Flags) -> Iterator[tuple[str, Rows]]:
        """Key and rows, in their order and as they are stored, of each pack that has a flag in ``wanted``."""
        held = np.concatenate([table.held[wanted[table.held["pack"]]] for table in self._tables] or [_NONE])
        held = held[np.argsort(held["ordinal"])]
        cuts = np.flatnonzero(np.diff(held["pack"])) + 1
        for own in np.split(held, cuts) if held.size else ():
            stored = np.empty(own.size, dtype=STORED)
            for name in STORED.names or ():
                stored[name] = own[name]
            yield self.packs[int(own["pack"][0])].key, stored

    def place(self, row: Any) -> Place:  # noqa: ANN401  # numpy has no type for one row
        """What a row that ``locate`` found says."""
        pack = int(row["pack"])
        return Place(
            pack=pack,
            key=self.packs[pack].key,
            offset=int(row["offset"]),
            id=row["id"].tobytes(),
            kind=int(row["kind"]),
            codec=int(row["codec"]),
            plain_length=int(row["plain"]),
            length=int(row["encoded"]),
            digest=row["digest"].tobytes(),
            ordinal=int(row["ordinal"]),
        )


def mark_of(stored: Rows) -> bytes:
    """What tells one pack's rows from others: 16 bytes."""
    return hashlib.blake2b(stored.tobytes(), digest_size=16).digest()
