"""Rows of an index on disk: sorted once, read where they are looked for. Nothing of a run but a fence is in memory."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator, Sequence
from typing import IO, Any, Final

import attrs
import numpy as np
from numpy.typing import NDArray

from holdstill.errors import HoldstillError
from holdstill.repository import envelope, rows
from holdstill.repository.rows import STORED, Rows

Words = NDArray[np.uint64]
Places = NDArray[np.uint32]
Which = NDArray[np.int64]

#: a row as it was stored, and where its blob begins in its pack
_ROW: Final = np.dtype([*STORED.descr, ("offset", "<u4")])
_STORED: Final = list(STORED.names or ())
#: the first eight bytes of an id, and the place of a row
_ENTRY: Final = np.dtype([("prefix", "<u8"), ("where", "<u4")])
#: bytes that one row takes on disk
ROW_SIZE: Final = _ROW.itemsize + _ENTRY.itemsize
#: entries of the table that are read together; the first prefix of each such block is in memory
_BLOCK: Final = 64
#: rows that are so near to each other are read together
_NEAR: Final = 64
#: rows that are sorted or copied at once
_AT_ONCE: Final = 1 << 18


@attrs.frozen
class Table:
    """Where rows are, by the first eight bytes of their ids: digests, which hardly ever agree in them.

    Where prefixes agree, older rows come first.
    """

    prefixes: Words
    wheres: Places
    """Places of rows within their part of the index."""

    @classmethod
    def of(cls, parts: Sequence[Table]) -> Table:
        """All of these as one, the oldest first."""
        prefixes = np.concatenate([part.prefixes for part in parts])
        wheres = np.concatenate([part.wheres for part in parts])
        order = np.argsort(prefixes, kind="stable")
        return cls(prefixes[order], wheres[order])

    def find(self, wanted: Words) -> tuple[Which, Places]:
        """Every row with one of these prefixes: which of them it is, and the row's place."""
        first = np.searchsorted(self.prefixes, wanted)
        counts = np.searchsorted(self.prefixes, wanted, side="right") - first
        which = np.repeat(np.arange(wanted.size), counts)
        within = np.arange(which.size) - np.repeat(np.cumsum(counts) - counts, counts)
        return which, self.wheres[first[which] + within]


class Run:
    """A file: rows in the order of their packs, and after them the table of them all."""

    def __init__(self, file: IO[bytes], count: int) -> None:
        """``count`` rows, as ``write`` wrote them. The file may be closed, and unlinked, afterwards.

        Raises ValueError if it has another size, and OSError.
        """
        self.name = str(file.name)
        self.count = count
        if file.seek(0, os.SEEK_END) != count * ROW_SIZE:
            raise ValueError("the run has a wrong size")
        self._file = os.dup(file.fileno())
        self.close = weakref.finalize(self, os.close, self._file)
        """Let go of the file; harmless to repeat. Nothing may be looked for afterwards."""
        fence = [block["prefix"][::_BLOCK].copy() for block in self._blocks(0, count)]
        self._fence: Words = np.concatenate(fence).astype(np.uint64)

    def find(self, wanted: Words) -> tuple[Which, Places]:
        """As ``Table.find``. Raises ``HoldstillError``."""
        first = np.maximum(np.searchsorted(self._fence, wanted) - 1, 0)
        past = np.maximum(np.searchsorted(self._fence, wanted, side="right"), 1)
        found: list[tuple[Which, Places]] = []
        single = np.flatnonzero(past - first == 1)
        if single.size:
            blocks, at = np.unique(first[single], return_inverse=True)
            entries = np.zeros((blocks.size, _BLOCK), dtype=_ENTRY)
            for number, block in enumerate(blocks.tolist()):
                read = self._entries(block * _BLOCK, min((block + 1) * _BLOCK, self.count))
                entries[number, : read.size] = read
            sizes = np.minimum(self.count - blocks * _BLOCK, _BLOCK)
            same = entries["prefix"][at] == wanted[single][:, np.newaxis]
            same &= np.arange(_BLOCK) < sizes[at][:, np.newaxis]
            row, column = np.nonzero(same)
            found.append((single[row], entries["where"][at[row], column]))
        for one in np.flatnonzero(past - first > 1).tolist():  # rows that agree in their prefixes, across blocks
            read = self._entries(int(first[one]) * _BLOCK, min(int(past[one]) * _BLOCK, self.count))
            places = read["where"][read["prefix"] == wanted[one]]
            found.append((np.full(places.size, one), places))
        which = np.concatenate([each for each, _ in found])
        order = np.argsort(which, kind="stable")
        return which[order], np.concatenate([each for _, each in found])[order].astype(np.uint32)

    def rows(self, wheres: Places) -> tuple[Rows, Places]:
        """The rows at these places, and where their blobs begin."""
        distinct, at = np.unique(wheres, return_inverse=True)
        gaps = np.flatnonzero(np.diff(distinct.astype(np.int64)) > _NEAR) + 1
        parts = []
        for near in np.split(distinct, gaps) if distinct.size else []:
            read = self._rows(int(near[0]), int(near[-1]) + 1)
            parts.append(read[near - near[0]])
        found = np.concatenate(parts)[at] if parts else np.zeros(0, dtype=_ROW)
        return found[_STORED], found["offset"]

    def span(self, first: int, count: int) -> Rows:
        """Following rows, as they were stored."""
        return _stored(self._rows(first, first + count))

    def table(self) -> Table:
        """All of it."""
        read = self._entries(0, self.count)
        return Table(read["prefix"].astype(np.uint64), read["where"].astype(np.uint32))

    def all(self) -> tuple[Rows, Places]:
        """Every row, and where its blob begins."""
        together = self._rows(0, self.count)
        return _stored(together), together["offset"]

    def pieces(self) -> Iterator[NDArray[Any]]:
        """All rows with their offsets, so many at once."""
        return (self._rows(at, min(at + _AT_ONCE, self.count)) for at in range(0, self.count, _AT_ONCE))

    def share(self, low: int, past: int) -> Table:
        """The part of the table from the prefix ``low`` on, and before ``past``."""
        first = max(int(np.searchsorted(self._fence, np.uint64(low))) - 1, 0) * _BLOCK
        end = self.count if past >> 64 else int(np.searchsorted(self._fence, np.uint64(past))) * _BLOCK
        read = self._entries(first, min(end, self.count))
        inside = read["prefix"] >= np.uint64(low)
        if not past >> 64:
            inside &= read["prefix"] < np.uint64(past)
        return Table(read["prefix"][inside].astype(np.uint64), read["where"][inside].astype(np.uint32))

    def _blocks(self, first: int, end: int) -> Iterator[NDArray[Any]]:
        return (self._entries(at, min(at + _AT_ONCE, end)) for at in range(first, end, _AT_ONCE))

    def _rows(self, first: int, past: int) -> NDArray[Any]:
        return np.frombuffer(self._read(first * _ROW.itemsize, (past - first) * _ROW.itemsize), dtype=_ROW)

    def _entries(self, first: int, past: int) -> NDArray[Any]:
        start = self.count * _ROW.itemsize + first * _ENTRY.itemsize
        return np.frombuffer(self._read(start, (past - first) * _ENTRY.itemsize), dtype=_ENTRY)

    def _read(self, offset: int, length: int) -> bytes:
        try:
            data = os.pread(self._file, length, offset)
        except OSError as error:
            raise self._broken(str(error.strerror)) from error
        if len(data) != length:
            raise self._broken("it is shorter than it was")
        return data

    def _broken(self, why: str) -> HoldstillError:
        return HoldstillError(
            f"what was written there cannot be read: {why}",
            subject=self.name,
            next_step="Check the disk of the state folder; what it keeps of repositories may be removed at any time.",
        )


def write(file: IO[bytes], stored: Rows, offsets: Places) -> Run:
    """A run of these rows. Raises OSError."""
    together = np.empty(len(stored), dtype=_ROW)
    together[_STORED] = stored
    together["offset"] = offsets
    _put(file, together)
    prefixes = prefixes_of(stored)
    order = np.argsort(prefixes, kind="stable").astype(np.uint32)
    _put_table(file, Table(prefixes[order], order))
    file.flush()
    return Run(file, len(stored))


def join(file: IO[bytes], runs: Sequence[Run]) -> Run:
    """All of these as one, the oldest first. Memory: some hundred thousand rows. Raises OSError."""
    count = sum(run.count for run in runs)
    for run in runs:
        for piece in run.pieces():
            _put(file, piece)
    firsts = np.cumsum([0, *(run.count for run in runs)])[:-1].astype(np.uint32)
    shares = -(-count // _AT_ONCE)  # prefixes are evenly spread, being digests
    for share in range(shares):
        low, past = (each * (1 << 64) // shares for each in (share, share + 1))
        tables = [run.share(low, past) for run in runs]
        moved = [Table(table.prefixes, table.wheres + first) for table, first in zip(tables, firsts, strict=True)]
        _put_table(file, Table.of(moved))
    file.flush()
    return Run(file, count)


def prefixes_of(stored: Rows) -> Words:
    """The first eight bytes of each row's id, as numbers that sort as the ids do."""
    return rows.as_words(stored["id"])[:, 0].copy()


def offsets_of(stored: Rows) -> Places:
    """Where each blob of one pack begins."""
    offsets: Places = (envelope.HEADER.size + rows.ends(stored) - stored["encoded"]).astype(np.uint32)
    return offsets


def _stored(together: NDArray[Any]) -> Rows:
    stored = np.empty(len(together), dtype=STORED)
    stored[_STORED] = together[_STORED]
    return stored


def _put_table(file: IO[bytes], table: Table) -> None:
    entries = np.empty(table.wheres.size, dtype=_ENTRY)
    entries["prefix"], entries["where"] = table.prefixes, table.wheres
    _put(file, entries)


def _put(file: IO[bytes], column: NDArray[Any]) -> None:
    file.write(np.ascontiguousarray(column).view(np.uint8).data)
