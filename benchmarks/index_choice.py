"""What the local index is kept in: SQLite, or sorted runs. Made of ids at random, asked in any order.

usage: index_choice.py [ROWS]
"""

from __future__ import annotations

import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from holdstill.repository import runs
from holdstill.repository.rows import STORED

#: asked for at once, and so many times
TOGETHER, TIMES = 4, 5000
#: rows that come at once
BATCH = 1 << 19


def in_sqlite(folder: Path, ids: np.ndarray, asked: Sequence[list[bytes]]) -> tuple[float, float, int]:
    """Seconds of CPU to make it, to ask it, and its bytes."""
    table = sqlite3.connect(folder / "index")
    table.execute("PRAGMA synchronous = OFF")
    table.execute("CREATE TABLE rows (id BLOB PRIMARY KEY, place INTEGER) WITHOUT ROWID")

    def make() -> None:
        for at in range(0, len(ids), BATCH):
            with table:
                pairs = ((each.tobytes(), at + number) for number, each in enumerate(ids[at : at + BATCH]))
                table.executemany("INSERT INTO rows VALUES (?, ?)", pairs)

    def ask() -> None:
        for some in asked:
            found = table.execute(f"SELECT place FROM rows WHERE id IN ({','.join('?' * len(some))})", some)
            assert len(found.fetchall()) == len(some)

    took = cpu(make), cpu(ask)
    table.close()
    return *took, (folder / "index").stat().st_size


def in_runs(folder: Path, ids: np.ndarray, asked: Sequence[list[bytes]]) -> tuple[float, float, int]:
    """The same; whole rows are kept, and found."""
    made: list[runs.Run] = []

    def make() -> None:
        for at in range(0, len(ids), BATCH):
            stored = np.zeros(len(ids[at : at + BATCH]), dtype=STORED)
            stored["id"] = ids[at : at + BATCH]
            with (folder / str(at)).open("x+b") as file:
                made.append(runs.write(file, stored, np.zeros(len(stored), dtype=np.uint32)))
        with (folder / "joined").open("x+b") as file:
            made[:] = [runs.join(file, made)]

    def ask() -> None:
        for some in asked:
            wanted = runs.prefixes_of(np.frombuffer(b"".join(some), dtype=[("id", "V32")]))
            assert made[0].rows(made[0].find(wanted)[1])[0].size >= len(some)

    return cpu(make), cpu(ask), (folder / "joined").stat().st_size


def cpu(work: Callable[[], None]) -> float:
    """Seconds of CPU."""
    began = time.process_time()
    work()
    return time.process_time() - began


def main() -> None:
    """Both, as a table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 4_000_000
    ids = np.frombuffer(os.urandom(32 * count), dtype="V32")
    dice = np.random.default_rng(1)
    asked = [[ids[at].tobytes() for at in dice.integers(0, count, TOGETHER)] for _ in range(TIMES)]
    print("| | made, CPU s | asked, CPU µs a chunk | MiB |\n|---|---:|---:|---:|")
    for name, measure in (("sorted runs", in_runs), ("SQLite", in_sqlite)):
        with tempfile.TemporaryDirectory() as folder:
            made, looked, size = measure(Path(folder), ids, asked)
        print(f"| {name} | {made:.1f} | {looked / TIMES / TOGETHER * 1e6:.0f} | {size >> 20} |", flush=True)


if __name__ == "__main__":
    main()
