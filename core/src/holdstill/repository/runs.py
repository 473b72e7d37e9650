"""Rows of an index on disk: sorted once, read where they are looked for. Nothing of a run but a fence is in memory."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
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
ROW: Final = np.dtype([*STORED.descr, ("offset", "<u4")])
#: the first eight bytes of an id, and the place of a row
_ENTRY: Final = np.dtype([("prefix", "<u8"), ("where", "<u4")])
#: bytes that one row takes on disk
ROW_SIZE: Final = ROW.itemsize + _ENTRY.itemsize
#: entries of the table that are read together; the first prefix of each such block is in memory
_BLOCK: Final = 64
#: rows, or blocks of the table, that are so near to each other are read together
_NEAR: Final = 32
_NEAR_BLOCKS: Final = 4 * _BLOCK
#: so many ids or rows are looked for at once: what is read for them is some MiB
_ASKED: Final = 4096
_DISORDER: Final = "its table is out of order"
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
        first = self.prefixes.searchsorted(wanted)
        counts = self.prefixes.searchsorted(wanted, side="right") - first
        which = np.arange(wanted.size).repeat(counts)
        within = np.arange(which.size) - (counts.cumsum() - counts).repeat(counts)
        return which, self.wheres[first[which] + within]


class Run:
    """A file: rows in the order of their packs, and after them the table of them all."""

    def __init__(self, file: IO[bytes], count: int) -> None:
        """``count`` rows, as ``write`` wrote them. The file may be closed, and unlinked, afterwards.

        Raises ValueError if it has another size, ``HoldstillError`` if its table cannot be one, and OSError.
        """
        self.name = str(file.name)
        self.count = count
        if file.seek(0, os.SEEK_END) != count * ROW_SIZE:
            raise ValueError("the run has a wrong size")
        self._file = os.dup(file.fileno())
        self.close = weakref.finalize(self, os.close, self._file)
        """Let go of the file; harmless to repeat. Nothing may be looked for afterwards."""
        with ExitStack() as unless_sound:
            unless_sound.callback(self.close)
            fence = [self._checked(block).prefixes[::_BLOCK].copy() for block in self._blocks(0, count)]
            self._fence: Words = np.concatenate(fence)
            if (self._fence[1:] < self._fence[:-1]).any():
                raise self._broken(_DISORDER)
            unless_sound.pop_all()

    def find(self, wanted: Words) -> tuple[Which, Places]:
        """As ``Table.find``, in one pass over the table however many are wanted: what is near to each other is read
        together, and of what is far between only the blocks. Memory: some MiB. Raises ``HoldstillError``.
        """
        order = wanted.argsort()
        ascending = wanted[order]
        first = np.maximum(self._fence.searchsorted(ascending) - 1, 0) * _BLOCK
        past = np.minimum(np.maximum(self._fence.searchsorted(ascending, side="right"), 1) * _BLOCK, self.count)
        found = []
        for at in range(0, wanted.size, _ASKED):
            some = slice(at, at + _ASKED)
            near = _ranges(first[some], past[some], _NEAR_BLOCKS)
            entries = self._gathered(_ENTRY, self.count * ROW.itemsize, *near)
            which, wheres = self._checked(entries).find(ascending[some])
            found.append((order[at + which], wheres))
        if len(found) == 1:
            return found[0]
        found.append((np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.uint32)))
        return np.concatenate([each for each, _ in found]), np.concatenate([each for _, each in found])

    def rows(self, wheres: Places) -> NDArray[Any]:
        """The rows at these places, each with where its blob begins: the fields of ``ROW``."""
        order = wheres.argsort()
        found = np.empty(wheres.size, dtype=ROW)
        for at in range(0, wheres.size, _ASKED):
            ascending = wheres[order[at : at + _ASKED]].astype(np.int64)
            starts, ends = _ranges(ascending, ascending + 1, _NEAR)
            read = self._gathered(ROW, 0, starts, ends)
            moved = (ends - starts).cumsum() - ends  # by so much, since what is between the ranges is left out
            found[order[at : at + _ASKED]] = read[ascending + moved[starts.searchsorted(ascending, side="right") - 1]]
        return found

    def span(self, first: int, count: int) -> Rows:
        """Following rows, as they were stored."""
        return unplaced(self._rows(first, first + count))

    def table(self) -> Table:
        """All of it."""
        return self._checked(self._entries(0, self.count))

    def all(self) -> NDArray[Any]:
        """Every row: the fields of ``ROW``."""
        return self._rows(0, self.count)

    def pieces(self) -> Iterator[NDArray[Any]]:
        """All rows with their offsets, so many at once."""
        return (self._rows(at, min(at + _AT_ONCE, self.count)) for at in range(0, self.count, _AT_ONCE))

    def share(self, low: int, past: int) -> Table:
        """The part of the table from the prefix ``low`` on, and before ``past``."""
        first = max(int(np.searchsorted(self._fence, np.uint64(low))) - 1, 0) * _BLOCK
        end = self.count if past >> 64 else int(np.searchsorted(self._fence, np.uint64(past))) * _BLOCK
        table = self._checked(self._entries(first, min(end, self.count)))
        inside = table.prefixes >= np.uint64(low)
        if not past >> 64:
            inside &= table.prefixes < np.uint64(past)
        return Table(table.prefixes[inside], table.wheres[inside])

    def _gathered(self, dtype: np.dtype[Any], start: int, firsts: Which, pasts: Which) -> NDArray[Any]:
        """The records of these ranges, one after the other, of what begins at ``start``."""
        size, read, file = dtype.itemsize, os.pread, self._file
        offsets, lengths = (firsts * size + start).tolist(), ((pasts - firsts) * size).tolist()
        try:
            data = b"".join([read(file, length, offset) for length, offset in zip(lengths, offsets, strict=True)])
        except OSError as error:
            raise self._broken(str(error.strerror)) from error
        if len(data) != sum(lengths):
            raise self._broken("it is shorter than it was")
        return np.frombuffer(data, dtype=dtype)

    def _checked(self, entries: NDArray[Any]) -> Table:
        """A part of the table. Raises ``HoldstillError`` if it cannot be one: then nothing can be found in it."""
        table = Table(entries["prefix"].astype(np.uint64), entries["where"].astype(np.uint32))
        if (table.prefixes[1:] < table.prefixes[:-1]).any() or (table.wheres >= self.count).any():
            raise self._broken(_DISORDER)
        return table

    def _blocks(self, first: int, end: int) -> Iterator[NDArray[Any]]:
        return (self._entries(at, min(at + _AT_ONCE, end)) for at in range(first, end, _AT_ONCE))

    def _rows(self, first: int, past: int) -> NDArray[Any]:
        return np.frombuffer(self._read(first * ROW.itemsize, (past - first) * ROW.itemsize), dtype=ROW)

    def _entries(self, first: int, past: int) -> NDArray[Any]:
        start = self.count * ROW.itemsize + first * _ENTRY.itemsize
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


def _ranges(firsts: Which, pasts: Which, gap: int) -> tuple[Which, Which]:
    """Ascending ranges, those as one between which there is at most ``gap``."""
    if not firsts.size:
        return firsts, pasts
    apart = firsts[1:] > pasts[:-1] + gap
    return np.concatenate((firsts[:1], firsts[1:][apart])), np.concatenate((pasts[:-1][apart], pasts[-1:]))


def write(file: IO[bytes], placed: NDArray[Any]) -> Run:
    """A run of these rows, of dtype ``ROW``. Raises OSError."""
    _put(file, placed)
    prefixes = prefixes_of(placed)
    order = np.argsort(prefixes, kind="stable").astype(np.uint32)
    _put_table(file, Table(prefixes[order], order))
    file.flush()
    return Run(file, len(placed))


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


def placed(stored: Rows, lengths: Sequence[int], into: NDArray[Any]) -> None:
    """All rows of packs of such ``lengths``, and where their blobs begin, ``into`` rows of dtype ``ROW``."""
    _bytes(into)[:, : STORED.itemsize] = _bytes(stored)
    begins = rows.ends(stored) - stored["encoded"]
    firsts = np.cumsum([0, *lengths])[:-1]
    before = np.append(begins, 0)[firsts]  # what is in the packs before each; an empty one has no rows to move
    into["offset"] = envelope.HEADER.size + begins - before.repeat(lengths)


def unplaced(together: NDArray[Any]) -> Rows:
    """Rows of dtype ``ROW`` as they were stored."""
    stored: Rows = np.ascontiguousarray(_bytes(together)[:, : STORED.itemsize]).view(STORED)[:, 0]
    return stored


def widened(placed: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Rows of dtype ``ROW`` as such of ``dtype``, which has further fields after those."""
    wide = np.empty(len(placed), dtype=dtype)
    _bytes(wide)[:, : ROW.itemsize] = _bytes(placed)
    return wide


def _bytes(records: NDArray[Any]) -> NDArray[np.uint8]:
    """Each record as a row of bytes: numpy copies those faster than fields."""
    return records.view(np.uint8).reshape(-1, records.dtype.itemsize)


def _put_table(file: IO[bytes], table: Table) -> None:
    entries = np.empty(table.wheres.size, dtype=_ENTRY)
    entries["prefix"], entries["where"] = table.prefixes, table.wheres
    _put(file, entries)


def _put(file: IO[bytes], column: NDArray[Any]) -> None:
    file.write(np.ascontiguousarray(column).view(np.uint8).data)
