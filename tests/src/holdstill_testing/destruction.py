"""What a map of used blocks is tried with: the destruction of all it calls unused, and images that someone has changed.

Nothing here knows a file system: ``destroy`` and ``mutations`` work on any image, and ``answer`` asks any plugin.
"""

from __future__ import annotations

import contextlib
import random
import subprocess
import tracemalloc
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, Literal, Protocol

import attrs
import numpy as np
from numpy.typing import NDArray

from holdstill.errors import StructureFault, VolumeUnusable
from holdstill.model.blockmap import BlockMap, WholeVolume
from holdstill.model.buffers import Room
from holdstill.model.extents import Extents, union_of
from holdstill.model.volume import FilesystemFacts
from holdstill.spi.reader import Reader
from holdstill_testing.fakes.file_reader import FileReader
from holdstill_testing.torture import dice

#: no map of an image of a test needs more windows than this
_MOST_WINDOWS: Final = 1_000_000
#: numbers that parsers stumble over, as so many bits
_EDGES: Final = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**64 - 1)
_PIECE: Final = 8 << 20


class Plugin(Protocol):
    """The two hooks of a plugin for file systems."""

    def recognise(self, reader: Reader) -> FilesystemFacts | None:
        """What is in the volume."""

    def enumerate_used_blocks(self, reader: Reader, facts: FilesystemFacts) -> BlockMap | WholeVolume | None:
        """Which blocks are in use."""


# --- destruction ------------------------------------------------------------------------------------


def destroy(image: Path, to: Path, used: Extents) -> Path:
    """Copy ``image`` to ``to``, sparse, and write noise over every byte that is not in ``used``."""
    subprocess.run(["cp", "--sparse=always", image, to], check=True)
    generator = np.random.default_rng(dice(f"noise/{image.name}").getrandbits(64))
    with to.open("r+b") as file:
        for offset, length in used.complement(image.stat().st_size):
            file.seek(offset)
            for at in range(0, length, _PIECE):
                file.write(generator.bytes(min(_PIECE, length - at)))
    return to


# --- asking -----------------------------------------------------------------------------------------


def answer(reader: Reader, plugin: Plugin) -> Extents | str:
    """The whole map of what is in ``reader``, or the reason why there is none. Any other exception comes out.

    AssertionError for a map that does not end, goes back, or leaves the volume.
    """
    facts = plugin.recognise(reader)
    if facts is None:
        return "not recognised"
    try:
        found = plugin.enumerate_used_blocks(reader, facts)
        if isinstance(found, BlockMap):
            return union_of(_checked(found.windows, reader.size, found.block_size))
    except (StructureFault, VolumeUnusable) as fault:
        return fault.message
    assert found is not None, f"{facts.name} is recognised, but nobody reads it"
    assert found.reason
    return found.reason


def _checked(windows: Iterable[Extents], size: int, overhang: int) -> Iterator[Extents]:
    reached = 0
    for number, window in enumerate(windows):
        assert number < _MOST_WINDOWS, "the map does not end"
        if window:
            assert (window.starts < window.ends).all()
            assert (window.starts[1:] > window.ends[:-1]).all()
            assert window.starts[0] >= reached, f"the map goes back to {window.starts[0]} from {reached}"
            reached = window.end
            assert reached <= size + overhang, f"the map claims byte {reached} of {size}"
            yield window


@contextlib.contextmanager
def bounded(memory: int) -> Iterator[None]:
    """AssertionError at the end if Python held more than ``memory`` bytes at any time within."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < memory, f"{peak} bytes were held, {memory} are allowed"


# --- images that someone has changed ------------------------------------------------------------------


class PatchedReader(Reader):
    """A file with other bytes in some places, and perhaps an earlier end. The file itself stays as it is."""

    alignment = 1

    def __init__(self, path: Path) -> None:
        self._file = FileReader(path)
        self.size = self._file.size
        self.patches: list[tuple[int, bytes]] = []

    def patch(self, offset: int, data: bytes) -> None:
        """Let these bytes stand at ``offset``."""
        self.patches.append((offset, data))

    def truncate(self, size: int) -> None:
        """Let it end here."""
        self.size = min(size, self.size)

    @property
    def reads(self) -> int:
        """How often it was asked."""
        return self._file.reads

    def readinto(self, offset: int, buffer: Room) -> None:
        """The bytes of the file with the patches laid over them, later ones on top."""
        room: NDArray[np.uint8] = np.frombuffer(memoryview(buffer).cast("B"), dtype=np.uint8)
        if offset < 0 or offset + room.size > self.size:
            raise ValueError(f"it has {self.size} bytes, not {offset} + {room.size}")
        self._file.readinto(offset, buffer)
        for at, data in self.patches:
            start, end = max(at, offset), min(at + len(data), offset + room.size)
            if start < end:
                room[start - offset : end - offset] = np.frombuffer(data[start - at : end - at], dtype=np.uint8)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


@attrs.frozen
class _Mutator:
    """One way after another to change bytes inside ``regions``."""

    reader: PatchedReader
    regions: Extents
    chance: random.Random

    def mutate(self) -> None:
        for _ in range(self.chance.choice((1, 1, 1, 2, 3, 8))):
            change = self.chance.choice((self._flip, self._flip, self._number, self._number, self._noise, self._moved))
            change()
        if self.chance.random() < 0.05:
            self.reader.truncate(self.chance.randrange(self.reader.size + 1))

    def _place(self) -> tuple[int, int]:
        """A byte of a random region (each as likely as the other), and how many more follow in it."""
        region = self.chance.randrange(len(self.regions))
        start, end = int(self.regions.starts[region]), int(self.regions.ends[region])
        at = start + self.chance.randrange(end - start)
        return at, end - at

    def _flip(self) -> None:
        at, _ = self._place()
        self.reader.patch(at, bytes([self.reader.read(at, 1)[0] ^ 1 << self.chance.randrange(8)]))

    def _number(self) -> None:
        """A number at its limits, or next to what it was."""
        at, room = self._place()
        width = self.chance.choice([width for width in (1, 2, 4, 8) if width <= room])
        at = max(0, at // width * width)
        order: Literal["little", "big"] = self.chance.choice(("little", "big"))
        was = int.from_bytes(self.reader.read(at, width), order)
        value = self.chance.choice((*_EDGES, was + 1, was - 1, was * 2, was // 2)) % (1 << 8 * width)
        self.reader.patch(at, value.to_bytes(width, order))

    def _noise(self) -> None:
        at, room = self._place()
        self.reader.patch(at, self.chance.randbytes(min(room, self.chance.choice((2, 16, 512, 4096)))))

    def _moved(self) -> None:
        """Bytes of another place: sound ones, but not here."""
        source, here = self._place()
        target, there = self._place()
        length = min(here, there, self.chance.choice((8, 64, 512, 4096)))
        self.reader.patch(target, self.reader.read(source, length))


def mutations(image: Path, regions: Extents, seed: str, count: int) -> Iterator[PatchedReader]:
    """``count`` readers of ``image``, each with other changes inside ``regions`` (bytes), each closed after its turn.

    Flipped bits, numbers at their limits, noise, bytes of another place, now and then an early end. Regions are chosen
    evenly, whatever their length: give one for each structure that matters. ``seed`` names the draws; a failing
    reader's ``patches`` say what was changed. A test that wants the changed structure to pass its own checksum adds it
    with ``patch``.
    """
    chance = dice(f"mutations/{seed}")
    for _ in range(count):
        with PatchedReader(image) as reader:
            _Mutator(reader, regions, chance).mutate()
            yield reader
