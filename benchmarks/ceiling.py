"""The best that our own chunks, codec and digest allow on this machine: all cores, everything in memory, nothing
stored.
"""

from __future__ import annotations

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs

from holdstill import Engine
from holdstill.repository.codecs import Codecs, preferred
from holdstill.repository.config import Config
from holdstill.repository.digests import Digests, Ids


@attrs.frozen
class Ceiling:
    """Seconds for all used chunks, and how many bytes those are."""

    wall: float
    used: int


def used(volume: Path, state: Path) -> tuple[list[tuple[int, int]], int]:
    """The used runs of a volume and their total."""
    with Engine(state=str(state)).map(str(volume)) as found:
        return [run for window in found.windows() for run in window], found.result.used_size


def measure(volume: Path, state: Path, rounds: int = 3) -> Ceiling:
    """Read the used chunks into memory a gigabyte at a time; time digest and codec alone."""
    runs, total = used(volume, state)
    config = Config.fresh(single_writer=False, chunk_size=None, digest=None, codec=None)
    ids, codecs = Ids(Digests(config.digest, config.key)), Codecs(preferred())
    size = config.chunk_size
    places = sorted({at // size for offset, length in runs for at in range(offset, offset + length, size)})

    def encode(chunk: bytes) -> None:
        if any(ids.chunk(chunk)):
            codecs.encode(chunk)

    walls = []
    with ThreadPoolExecutor() as pool:
        for _ in range(rounds):
            wall = 0.0
            with volume.open("rb") as file:
                for start in range(0, len(places), (1 << 30) // size):
                    chunks = []
                    for place in places[start : start + (1 << 30) // size]:
                        file.seek(place * size)
                        chunks.append(file.read(size))
                    began = time.monotonic()
                    list(pool.map(encode, chunks, chunksize=8))
                    wall += time.monotonic() - began
            walls.append(wall)
    return Ceiling(statistics.median(walls), total)
