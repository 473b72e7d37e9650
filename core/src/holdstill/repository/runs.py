"""Rows of an index on disk: sorted once, mapped, and looked at in the memory of a few pages."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from typing import IO, Final

import attrs
import numpy as np
from numpy.typing import NDArray

from holdstill.repository import envelope, rows
from holdstill.repository.rows import STORED, Rows

Words = NDArray[np.uint64]
Places = NDArray[np.uint32]

#: bytes that one row takes on disk: the row, its id's prefix, its place, its offset
ROW_SIZE: Final = STORED.itemsize + 8 + 4 + 4
#: rows that are sorted, or bytes that are copied, at once
_AT_ONCE: Final = 1 << 18
_COPIED: Final = 8 << 20


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


class Run:
    """A file: rows in the order of their packs, where each blob begins in its pack, and a table of them all.

    It is mapped, so that it takes memory only where it was looked at; ``relax`` gives that back.
    """

    def __init__(self, file: IO[bytes], count: int) -> None:
        """``count`` rows, as ``write`` wrote them. The file may be closed, and unlinked, afterwards.

        Raises ValueError if it is too short, and OSError.
        """
        self.name = str(file.name)
        self.count = count
        self._map = mmap.mmap(file.fileno(), _size(count), access=mmap.ACCESS_READ)
        at = _aligned(count * STORED.itemsize)
        self.rows: Rows = np.frombuffer(self._map, dtype=STORED, count=count)
        prefixes = np.frombuffer(self._map, dtype=np.uint64, count=count, offset=at)
        self.table = Table(prefixes, np.frombuffer(self._map, dtype=np.uint32, count=count, offset=at + 8 * count))
        self.offsets: Places = np.frombuffer(self._map, dtype=np.uint32, count=count, offset=at + 12 * count)

    def relax(self) -> None:
        """The pages that were looked at are not held in memory any more, where the system lets us say so."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)


def write(file: IO[bytes], stored: Rows, offsets: Places) -> Run:
    """A run of these rows. Raises OSError."""
    prefixes = prefixes_of(stored)
    order = np.argsort(prefixes, kind="stable").astype(np.uint32)
    _put(file, stored)
    file.write(bytes(_aligned(stored.nbytes) - stored.nbytes))
    _put(file, prefixes[order])
    _put(file, order)
    _put(file, offsets)
    file.flush()
    return Run(file, len(stored))


def join(file: IO[bytes], runs: Sequence[Run]) -> Run:
    """All of these as one, the oldest first. Memory: some million rows. Raises OSError."""
    count = sum(run.count for run in runs)
    for run in runs:
        data = run.rows.view(np.uint8).data
        for at in range(0, len(data), _COPIED):
            file.write(data[at : at + _COPIED])
            run.relax()
    file.write(bytes(_aligned(count * STORED.itemsize) - count * STORED.itemsize))
    tables = file.tell()
    at = 0
    for share in _shares(runs, count):
        for place, column in ((tables + 8 * at, share.prefixes), (tables + 8 * count + 4 * at, share.wheres)):
            file.seek(place)
            _put(file, column)
        at += share.wheres.size
        for run in runs:
            run.relax()
    file.seek(tables + 12 * count)
    for run in runs:
        _put(file, run.offsets)
        run.relax()
    file.flush()
    return Run(file, count)


def _shares(runs: Sequence[Run], count: int) -> Iterator[Table]:
    """The table of all rows, one range of prefixes after the other. Prefixes are evenly spread, being digests."""
    number = -(-count // _AT_ONCE)
    bounds = [share * (1 << 64) // number for share in range(number)]
    ends = []
    for run in runs:
        ends.append([*np.searchsorted(run.table.prefixes, np.array(bounds, dtype=np.uint64)).tolist(), run.count])
        run.relax()
    firsts = np.cumsum([0, *(run.count for run in runs)])

    def share_of(share: int) -> Table:
        return Table.of(
            [
                Table(run.table.prefixes[one:past], run.table.wheres[one:past] + first)
                for run, (one, past), first in zip(
                    runs, (end[share : share + 2] for end in ends), firsts.astype(np.uint32), strict=False
                )
            ]
        )

    return map(share_of, range(number))


def prefixes_of(stored: Rows) -> Words:
    """The first eight bytes of each row's id, as numbers that sort as the ids do."""
    return rows.as_words(stored["id"])[:, 0].copy()


def offsets_of(stored: Rows) -> Places:
    """Where each blob of one pack begins."""
    offsets: Places = (envelope.HEADER.size + rows.ends(stored) - stored["encoded"]).astype(np.uint32)
    return offsets


def _put(file: IO[bytes], column: NDArray[np.generic]) -> None:
    file.write(np.ascontiguousarray(column).view(np.uint8).data)


def _aligned(size: int) -> int:
    return -(-size // 8) * 8


def _size(count: int) -> int:
    return _aligned(count * STORED.itemsize) + 16 * count
