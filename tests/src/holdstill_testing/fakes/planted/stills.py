"""Stills with one fault each."""

from __future__ import annotations

import contextlib

from holdstill.spi.still import HoldRequest
from holdstill_testing.fakes.memory_still import MemoryStill, StillReader
from holdstill_testing.fakes.memory_volume import MemoryReader, MemoryVolume


class AcquiresFirst(MemoryStill):
    """It makes the snapshot, then writes it down."""

    def acquire(self, volume: MemoryVolume, request: HoldRequest) -> None:
        """The wrong way round."""
        self.shelf.create(self.name, volume)
        self.line = request.holds.hold("memory-snapshot", {"name": self.name}, by_hand=f"forget {self.name}")


class LeaksOnException(MemoryStill):
    """When something fails after the snapshot was made it crosses out the line, and keeps the snapshot."""

    def acquire(self, volume: MemoryVolume, request: HoldRequest) -> None:
        """Tidy in the wrong place."""
        self.line = request.holds.hold("memory-snapshot", {"name": self.name}, by_hand=f"forget {self.name}")
        self.shelf.create(self.name, volume)
        try:
            self.line.update(made="yes")
        except BaseException:
            self.line.drop()
            raise


class ForgetsUntruth(MemoryStill):
    """It asks each time anew whether it is true."""

    def untrue(self) -> str | None:
        """As things are now."""
        return "its space ran full" if self.name in self.shelf.lost else None


class NeverUntrue(MemoryStill):
    """It is always true."""

    def untrue(self) -> str | None:
        """No doubt."""
        return None


class ReadsWhenLost(MemoryStill):
    """Its readers go on when it is lost."""

    def open_reader(self) -> MemoryReader:
        """A reader of the snapshot alone."""
        return MemoryReader(self.shelf.snapshots[self.name])


class FollowsTheVolume(MemoryStill):
    """It reads the volume itself."""

    def acquire(self, volume: MemoryVolume, request: HoldRequest) -> None:
        """Pretend."""
        super().acquire(volume, request)
        self.shelf.snapshots[self.name] = volume


class SharesOneReader(MemoryStill):
    """All who open a reader get the same one."""

    def open_reader(self) -> MemoryReader:
        """The first, for ever."""
        if not hasattr(self, "shared"):
            self.shared = StillReader(self)
        return self.shared


class ReleasesTheLineOnly(MemoryStill):
    """It crosses out the line, and leaves the snapshot."""

    def release(self) -> None:
        """Half of it."""
        self.line.drop()


class ReleasesTheSnapshotOnly(MemoryStill):
    """It removes the snapshot, and leaves the line."""

    def release(self) -> None:
        """The other half."""
        with contextlib.suppress(KeyError):
            self.shelf.remove(self.name)


class ReleasesOnce(MemoryStill):
    """Its second release fails."""

    def release(self) -> None:
        """Without a look."""
        self.shelf.remove(self.name)
        self.line.drop()
