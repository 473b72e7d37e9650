"""The reference still: a snapshot of a volume in memory, acquired as a real one is."""

from __future__ import annotations

import contextlib

from holdstill.errors import ReadFault
from holdstill.model.buffers import Room
from holdstill.model.volume import Consistency, Mode
from holdstill.spi.still import Fill, HoldRequest, Still
from holdstill_testing.fakes.memory_volume import MemoryReader, MemoryVolume


class Shelf:
    """A storage manager in memory: the snapshots that exist, by name. What a still's suite looks at independently."""

    def __init__(self) -> None:
        self.snapshots: dict[str, MemoryVolume] = {}
        self.lost: set[str] = set()

    def create(self, name: str, origin: MemoryVolume) -> None:
        """Make a snapshot that then holds the origin's bytes of this instant."""
        with origin.lock:
            self.snapshots[name] = MemoryVolume(origin.data, f"/fake/{name}")

    def remove(self, name: str) -> None:
        """Remove it. KeyError if there is none."""
        del self.snapshots[name]


class MemoryStill(Still):
    """A snapshot on a ``Shelf``. Says that it is untrue once the shelf has lost it, and for good."""

    mode = Mode.SNAPSHOT
    consistency = Consistency.POINT_IN_TIME

    def __init__(self, volume: MemoryVolume, request: HoldRequest, shelf: Shelf) -> None:
        self.name = f"holdstill-{request.run}"
        self.shelf = shelf
        self.why: str | None = None
        self.acquire(volume, request)

    def acquire(self, volume: MemoryVolume, request: HoldRequest) -> None:
        """Write it down, then make it; if anything fails on the way, undo it."""
        data = {"name": self.name, "origin": volume.facts.device}
        self.line = request.holds.hold("memory-snapshot", data, by_hand=f"forget {self.name}")
        self.shelf.create(self.name, volume)
        try:
            self.line.update(made="yes")
        except BaseException:
            self.shelf.remove(self.name)
            raise

    def open_reader(self) -> MemoryReader:
        """A reader that fails once the still is lost."""
        return StillReader(self)

    def untrue(self) -> str | None:
        """The first reason, for ever."""
        if self.why is None and self.name in self.shelf.lost:
            self.why = "its space ran full"
        return self.why

    def fill(self) -> Fill | None:
        """A little."""
        return Fill(used=4096, size=1 << 20)

    def release(self) -> None:
        """Remove the snapshot, then cross it out."""
        with contextlib.suppress(KeyError):
            self.shelf.remove(self.name)
        self.line.drop()


class StillReader(MemoryReader):
    """Reads the snapshot while it is true."""

    def __init__(self, still: MemoryStill) -> None:
        super().__init__(still.shelf.snapshots[still.name])
        self.still = still

    def readinto(self, offset: int, buffer: Room) -> None:
        """As the contract says: a lost still reads nothing."""
        if why := self.still.untrue():
            raise ReadFault(why, offset=offset, length=len(buffer), subject=self.still.name)
        super().readinto(offset, buffer)
