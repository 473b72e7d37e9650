"""The best that our own chunks, codec and digest allow on this machine, all cores at work, nothing stored: a full image
from memory, and reading and hashing once what is used.
"""

from __future__ import annotations

import os
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs

from holdstill import Engine
from holdstill.repository.codecs import Codecs, preferred
from holdstill.repository.config import Config
from holdstill.repository.digests import Digests, Ids

#: so much is encoded from memory at a time
_PART = 1 << 30
#: so many chunks make one piece of work
_TOGETHER = 8


@attrs.frozen
class Ceiling:
    """Seconds for all used chunks, and how many bytes are used."""

    encoded: float
    hashed: float
    used: int


def used(volume: Path, state: Path) -> tuple[list[tuple[int, int]], int]:
    """The used runs of a volume and their total."""
    with Engine(state=str(state)).map(str(volume)) as found:
        return [run for window in found.windows() for run in window], found.result.used_size


def measure(volume: Path, state: Path, rounds: int = 3) -> Ceiling:
    """Both, medians of ``rounds``."""
    runs, total = used(volume, state)
    config = Config.fresh(single_writer=False, chunk_size=None, digest=None, codec=None)
    ids, size = Ids(Digests(config.digest, config.key)), config.chunk_size
    places = sorted({at // size for offset, length in runs for at in range(offset, offset + length, size)})
    return Ceiling(
        statistics.median(_encoding(volume, places, size, ids) for _ in range(rounds)),
        statistics.median(_hashing(volume, places, size, ids) for _ in range(rounds)),
        total,
    )


def _encoding(volume: Path, places: list[int], size: int, ids: Ids) -> float:
    codecs, wall = Codecs(preferred()), 0.0

    def encode(chunk: bytes) -> None:
        if any(ids.chunk(chunk)):
            codecs.encode(chunk)

    with ThreadPoolExecutor(os.cpu_count()) as pool, volume.open("rb") as file:
        for start in range(0, len(places), _PART // size):
            chunks = [os.pread(file.fileno(), size, place * size) for place in places[start : start + _PART // size]]
            began = time.monotonic()
            list(pool.map(encode, chunks))
            wall += time.monotonic() - began
    return wall


def _hashing(volume: Path, places: list[int], size: int, ids: Ids) -> float:
    mine = threading.local()

    def read_and_hash(some: list[int]) -> None:
        if not hasattr(mine, "room"):
            mine.room = memoryview(bytearray(size))
        for place in some:
            got = os.preadv(file.fileno(), [mine.room], place * size)
            ids.chunk(mine.room[:got])

    pieces = [places[start : start + _TOGETHER] for start in range(0, len(places), _TOGETHER)]
    with ThreadPoolExecutor(os.cpu_count()) as pool, volume.open("rb") as file:
        began = time.monotonic()
        list(pool.map(read_and_hash, pieces))
        return time.monotonic() - began
