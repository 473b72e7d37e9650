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

#: what ``locate`` hands back: the row, which pack, where in it, and the row's number in the index
_FOUND: Final = np.dtype([*STORED.descr, ("pack", "<u4"), ("offset", "<u4"), ("ordinal", "<u4")])
_STORED: Final = list(STORED.names or ())
#: tables smaller than this are merged whatever their sizes
_SMALL: Final = 4096
#: a row's place in a table: pack, then its place in the pack
_ROW_BITS: Final = np.uint64(32)
_ROW_MASK: Final = np.uint64((1 << 32) - 1)


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
    """Where rows are, by the first eight bytes of their ids: digests, which hardly ever agree in them. 16 bytes a row.

    Where prefixes agree, older rows come first.
    """

    prefixes: NDArray[np.uint64]
    wheres: NDArray[np.uint64]

    @classmethod
    def of(cls, parts: list[_Table]) -> _Table:
        prefixes = np.concatenate([part.prefixes for part in parts])
        wheres = np.concatenate([part.wheres for part in parts])
        order = np.argsort(prefixes, kind="stable")
        return cls(prefixes[order], wheres[order])


class Index:
    """All rows that are known. Looking is thread-safe, also while a pack is added; adding is serialised.

    Rows stay as they came, pack by pack; a few sorted tables of falling size, merged as they grow, say where each is:
    adding costs little, and looking never waits.
    """

    def __init__(self, pack_extra: int = 0) -> None:
        """``pack_extra``: how many bytes longer packs are than their blobs and rows imply, as they are sealed."""
        self.packs: list[KnownPack] = []
        self._pack_extra = pack_extra
        self._rows: list[Rows] = []
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
            fresh = [self._take(key, stored) for key, stored in found if key not in self._places]
            if not fresh:
                return
            tables = [*self._tables, _Table.of(fresh)]
            while len(tables) > 1 and tables[-2].wheres.size < max(2 * tables[-1].wheres.size, _SMALL):
                last = tables.pop()
                tables[-1] = _Table.of([tables[-1], last])
            self._tables = tuple(tables)

    def _take(self, key: str, stored: Rows) -> _Table:
        pack = self._places[key] = len(self.packs)
        self._rows.append(stored)
        size = packs.size_of(stored, self._pack_extra)
        self.packs.append(KnownPack(key, size, int(stored.size), self.row_count, mark_of(stored)))
        self.row_count += int(stored.size)
        wheres = np.arange(stored.size, dtype=np.uint64) | np.uint64(pack) << _ROW_BITS
        return _Table(rows.as_words(stored["id"])[:, 0].copy(), wheres)

    def places(self, kind: BlobKind, blob_id: bytes) -> list[Place]:
        """Every place of a blob, oldest row first."""
        prefix = np.frombuffer(blob_id, dtype=">u8", count=1).astype(np.uint64)[0]
        found = []
        for table in self._tables:
            at = int(np.searchsorted(table.prefixes, prefix))
            while at < table.prefixes.size and table.prefixes[at] == prefix:
                pack, row = divmod(int(table.wheres[at]), 1 << 32)
                stored = self._rows[pack][row]
                if stored["kind"] == kind and stored["id"].tobytes() == blob_id:
                    offset = envelope.HEADER.size + int(self._rows[pack]["encoded"][:row].sum(dtype=np.int64))
                    found.append(self._place(stored, pack, offset, self.packs[pack].first + row))
                at += 1
        return found

    def locate(self, kind: BlobKind, ids: bytes, usable: Usable) -> tuple[Flags, Rows]:
        """For each of many ids (32 bytes each, none zero): is there a row that is ``usable``, and the oldest such.

        Rows that were not found are undefined; a row has the fields of ``STORED``, and pack, offset and ordinal.
        """
        words = rows.as_words(np.frombuffer(ids, dtype=f"V{ID_SIZE}"))
        seen = np.zeros(len(words), dtype=np.bool_)
        chosen = np.zeros(len(words), dtype=_FOUND)
        for table in self._tables:
            left = np.flatnonzero(~seen)
            at = np.searchsorted(table.prefixes, words[left, 0])
            while left.size:
                inside = at < table.prefixes.size
                left, at = left[inside], at[inside]
                same = table.prefixes[at] == words[left, 0]
                left, at = left[same], at[same]
                if not left.size:
                    break
                found = self._found(table.wheres[at])
                good = (rows.as_words(found["id"]) == words[left]).all(axis=1) & (found["kind"] == kind) & usable(found)
                chosen[left[good]] = found[good]
                seen[left[good]] = True
                left, at = left[~good], at[~good] + 1
        return seen, chosen

    def _found(self, wheres: NDArray[np.uint64]) -> Rows:
        """The rows at these places. Ids that are asked for together mostly lie in few packs."""
        found = np.empty(wheres.size, dtype=_FOUND)
        owners, at = wheres >> _ROW_BITS, wheres & _ROW_MASK
        for pack in set(owners.tolist()):
            mine = owners == pack
            stored, wanted = self._rows[pack], at[mine]
            chosen = np.empty(wanted.size, dtype=_FOUND)
            chosen[_STORED] = stored[wanted]
            chosen["pack"] = pack
            chosen["offset"] = envelope.HEADER.size + rows.ends(stored)[wanted] - chosen["encoded"]
            chosen["ordinal"] = self.packs[pack].first + wanted
            found[mine] = chosen
        return found

    def rows_of(self, wanted: Flags) -> Iterator[tuple[str, Rows]]:
        """Key and rows, as they are stored, of each pack that has a flag in ``wanted``."""
        return ((self.packs[pack].key, self._rows[pack]) for pack in np.flatnonzero(wanted).tolist())

    def place(self, row: Any) -> Place:  # noqa: ANN401  # numpy has no type for one row
        """What a row that ``locate`` found says."""
        return self._place(row, int(row["pack"]), int(row["offset"]), int(row["ordinal"]))

    def _place(self, row: Any, pack: int, offset: int, ordinal: int) -> Place:  # noqa: ANN401  # as above
        blob_id, kind, codec, plain_length, length, digest, *_ = row.item()
        return Place(pack, self.packs[pack].key, offset, blob_id, kind, codec, plain_length, length, digest, ordinal)


def mark_of(stored: Rows) -> bytes:
    """What tells one pack's rows from others: 16 bytes."""
    return hashlib.blake2b(stored.tobytes(), digest_size=16).digest()
