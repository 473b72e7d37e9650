"""What the local index is kept in: SQLite, or sorted runs. Made of ids at random, as those of a volume are; asked for
what is known, in the order of the volume and in any order, and for what is not.

usage: index_choice.py [ROWS]
"""

from __future__ import annotations

import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import numpy as np

from holdstill.repository import layout
from holdstill.repository.index import Flags, Index
from holdstill.repository.layout import ID_SIZE, BlobKind
from holdstill.repository.rows import STORED, Rows
from holdstill.repository.runs import ROW_SIZE

#: ids asked for at once: those of a region as a backup reads it, of a page, and of a piece of the list of an image
TOGETHER = (16, 1024, 4096)
#: ids asked for in all
ASKED = 1 << 16
#: rows that come at once, and those of a pack
BATCH, PACK = 1 << 19, 128


@attrs.frozen
class Asked:
    """Some of the ids, at once."""

    ids: bytes
    known: int
    """How many of them there are."""

    def each(self) -> list[bytes]:
        """One by one."""
        return [self.ids[at : at + ID_SIZE] for at in range(0, len(self.ids), ID_SIZE)]


class InSqlite:
    """Ids, and the number of each."""

    name = "SQLite, ids and places"

    def __init__(self, folder: Path) -> None:
        self._path = folder / "index"
        self._table = sqlite3.connect(self._path)
        self._table.execute("PRAGMA synchronous = OFF")
        self._table.execute("CREATE TABLE rows (id BLOB PRIMARY KEY, place INTEGER) WITHOUT ROWID")

    def make(self, ids: np.ndarray) -> None:
        """Take these in."""
        for at in range(0, len(ids), BATCH):
            with self._table:
                pairs = ((each.tobytes(), at + number) for number, each in enumerate(ids[at : at + BATCH]))
                self._table.executemany("INSERT INTO rows VALUES (?, ?)", pairs)

    def ask(self, some: Asked) -> int:
        """How many of them are known."""
        each = some.each()
        found = self._table.execute(f"SELECT id, place FROM rows WHERE id IN ({','.join('?' * len(each))})", each)
        return len(dict(found.fetchall()))

    def size(self) -> int:
        """Bytes on disk."""
        return self._path.stat().st_size


class InRuns:
    """The index as it is: whole rows, each of a pack, looked at by the marks of the packs."""

    name = "sorted runs, whole rows"

    def __init__(self, folder: Path) -> None:
        self._index = Index(folder)

    def make(self, ids: np.ndarray) -> None:
        """Take these in."""
        for at in range(0, len(ids), BATCH):
            self._index.add(_packs(ids[at : at + BATCH], at))
        self._index.settle()

    def ask(self, some: Asked) -> int:
        """How many of them are known."""
        return int(self._index.locate(BlobKind.CHUNK, some.ids, _all)[0].sum())

    def size(self) -> int:
        """Bytes on disk."""
        return sum(run.count for run in self._index.runs) * ROW_SIZE


def _packs(ids: np.ndarray, first: int) -> Iterator[tuple[str, Rows]]:
    for at in range(0, len(ids), PACK):
        rows = np.zeros(len(ids[at : at + PACK]), dtype=STORED)
        rows["id"], rows["kind"], rows["encoded"] = ids[at : at + PACK], BlobKind.CHUNK, 1 << 17
        yield layout.pack_key(1, f"{first + at:032x}"), rows


def _all(rows: Rows) -> Flags:
    return np.ones(len(rows), dtype=np.bool_)


def cpu(work: Callable[..., object], *given: object) -> float:
    """Seconds of CPU."""
    began = time.process_time()
    work(*given)
    return time.process_time() - began


def asked(ids: np.ndarray, together: int) -> dict[str, list[Asked]]:
    """What is asked for in each of the three ways, ``together`` at once."""
    dice, starts = np.random.default_rng(together), range(0, min(ASKED, len(ids)), together)
    first = int(dice.integers(0, max(1, len(ids) - ASKED)))
    return {
        "in order": [Asked(ids[first + at : first + at + together].tobytes(), together) for at in starts],
        "in any order": [Asked(ids[np.unique(dice.integers(0, len(ids), together))].tobytes(), -1) for _ in starts],
        "not there": [Asked(os.urandom(ID_SIZE * together), 0) for _ in starts],
    }


def main() -> None:
    """Both, as a table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 4_000_000
    ids = np.frombuffer(os.urandom(ID_SIZE * count), dtype="V32")
    asks = [(way, some, each) for some in TOGETHER for way, each in asked(ids, some).items()]
    print("| | " + " | ".join(["made, CPU s", "MiB", *(f"{some} {way}, µs each" for way, some, _ in asks)]) + " |")
    print("|---|" + "---:|" * (2 + len(asks)))
    for kept in (InRuns, InSqlite):
        with tempfile.TemporaryDirectory() as folder:
            index = kept(Path(folder))
            cells = [f"{cpu(index.make, ids):.1f}", f"{index.size() >> 20}"]
            for _, _, each in asks:
                cells.append(f"{cpu(check, index, each) * 1e6 / sum(len(one.each()) for one in each):.1f}")
        print(f"| {index.name} | " + " | ".join(cells) + " |", flush=True)


def check(index: InRuns | InSqlite, asked_for: list[Asked]) -> None:
    """Ask, and look at the answers."""
    for some in asked_for:
        known = len(some.ids) // ID_SIZE if some.known < 0 else some.known
        assert index.ask(some) == known


if __name__ == "__main__":
    main()
