"""Targets, readers and stills with one fault each: what the suites must catch.

Each is the reference fake, wrong in one way; its docstring says in which. ``PAUSE`` widens the moment in which a race
goes wrong, so that it is lost every time.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import Final

import attrs

from holdstill.errors import ObjectMissing, ReadFault, TargetError
from holdstill.model.buffers import Buffer, Room
from holdstill.spi.still import HoldRequest
from holdstill.spi.target import Listed
from holdstill_testing.fakes.memory_still import MemoryStill, StillReader
from holdstill_testing.fakes.memory_target import PROPERTIES, MemoryTarget
from holdstill_testing.fakes.memory_volume import MemoryReader, MemoryVolume

PAUSE: Final = 0.002

# --- targets -----------------------------------------------------------------------------------


class TornPut(MemoryTarget):
    """A put that truncates in place, so that others see the first half for a moment."""

    def put(self, key: str, parts: Sequence[Buffer]) -> None:
        """Half, a pause, all."""
        whole = b"".join(parts)
        super().put(key, [whole[: len(whole) // 2]])
        time.sleep(PAUSE)
        super().put(key, [whole])


class StreamingPut(MemoryTarget):
    """A put that writes part by part under the object's own name, and leaves what it wrote when it dies."""

    def put(self, key: str, parts: Sequence[Buffer]) -> None:
        """One part after the other."""
        written = b""
        super().put(key, [])
        for part in parts:
            written += part
            super().put(key, [written])
            time.sleep(PAUSE / 100)


class LooksFirst(MemoryTarget):
    """A put_if_absent that looks, and puts if it saw nothing."""

    def put_if_absent(self, key: str, parts: Sequence[Buffer]) -> bool:
        """Look, a pause, put."""
        if key in self.objects:
            return False
        time.sleep(PAUSE)
        self.put(key, parts)
        return True


class ReplacingCreate(MemoryTarget):
    """A put_if_absent that knows that it came late, and replaces the object nevertheless."""

    def put_if_absent(self, key: str, parts: Sequence[Buffer]) -> bool:
        """Tell the truth and do the wrong."""
        first = key not in self.objects
        self.put(key, parts)
        return first


class ImitatedCreate(MemoryTarget):
    """It claims no exclusive creates, and does something like them instead of refusing."""

    def __init__(self) -> None:
        super().__init__(properties=attrs.evolve(PROPERTIES, put_if_absent=False))

    def put_if_absent(self, key: str, parts: Sequence[Buffer]) -> bool:
        """As if it could."""
        if key in self.objects:
            return False
        self.put(key, parts)
        return True


class ShortRange(MemoryTarget):
    """A get_range that returns what there is when the object ends before."""

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """Python's slices do it."""
        return self.get(key)[offset : offset + length]


class InclusiveRange(MemoryTarget):
    """A get_range that takes the end for the last byte, as HTTP does."""

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """One byte too many, where there is one."""
        return super().get_range(key, offset, min(length + 1, self.size(key) - offset) if length else 0)


class RemembersMissing(MemoryTarget):
    """A cache of "not found" answers."""

    def get(self, key: str) -> bytes:
        """What was missing once is missing for ever."""
        if key not in self.objects:
            self.missed = {*getattr(self, "missed", ()), key}
        if key in getattr(self, "missed", ()):
            raise ObjectMissing("there is no such object", subject=key)
        return super().get(key)


class VagueMissing(MemoryTarget):
    """It cannot tell a missing object from any other error."""

    def get(self, key: str) -> bytes:
        """An error, but not the one."""
        try:
            return super().get(key)
        except ObjectMissing:
            raise TargetError("HTTP 403", subject=key) from None


class ListsTemporaries(MemoryTarget):
    """A put whose temporary object has a name that a listing shows."""

    def put(self, key: str, parts: Sequence[Buffer]) -> None:
        """The other name, a pause, the name."""
        super().put(f"{key}-new", parts)
        time.sleep(PAUSE)
        super().put(key, parts)
        self.delete(f"{key}-new")


class StaleListing(MemoryTarget):
    """A listing from a cache that nobody refreshes."""

    def list(self, prefix: str) -> Iterator[Listed]:
        """What it was half of the puts ago."""
        rows = sorted(super().list(prefix), key=lambda row: row.key)
        return iter(rows[: len(rows) // 2])


class StrictDelete(MemoryTarget):
    """A delete that minds if there is nothing to delete."""

    def delete(self, key: str) -> None:
        """It asks first."""
        self.get(key)
        super().delete(key)


class LazyDelete(MemoryTarget):
    """A delete that is carried out some other day."""

    def delete(self, key: str) -> None:
        """Not today."""


class KeepsBuffers(MemoryTarget):
    """A put that keeps the caller's buffers and not their bytes."""

    def put(self, key: str, parts: Sequence[Buffer]) -> None:
        """Keep them, for ``get`` to join."""
        super().put(key, [])
        self.kept = {**getattr(self, "kept", {}), key: list(parts)}

    def get(self, key: str) -> bytes:
        """Join them now."""
        super().get(key)
        return b"".join(self.kept[key])


class FoldsKeys(MemoryTarget):
    """Names that are cut where the store's names end."""

    def put(self, key: str, parts: Sequence[Buffer]) -> None:
        """At 70 letters."""
        super().put(key[:70].rstrip("/"), parts)

    def get(self, key: str) -> bytes:
        """At 70 letters."""
        return super().get(key[:70].rstrip("/"))


class TakesAnyName(MemoryTarget):
    """It stores whatever name it is given."""

    def put(self, key: str, parts: Sequence[Buffer]) -> None:
        """Without a look at the key."""
        self.objects[key] = b"".join(parts)


class SharedScratch(MemoryTarget):
    """A get that keeps its work in the object, where another thread's get finds it."""

    def get(self, key: str) -> bytes:
        """Put it there, a pause, take it from there."""
        self.scratch = super().get(key)
        time.sleep(PAUSE / 100)
        return self.scratch


# --- readers -----------------------------------------------------------------------------------


class DropsLastBlock(MemoryReader):
    """Its size is rounded down to whole blocks, with one lost."""

    def __init__(self, volume: MemoryVolume) -> None:
        super().__init__(volume)
        self.size = (self.size - 1) // 4096 * 4096


class ZeroFillsFaults(MemoryReader):
    """What cannot be read is zeros to it."""

    def readinto(self, offset: int, buffer: Room) -> None:
        """Forget the fault."""
        try:
            super().readinto(offset, buffer)
        except ReadFault:
            memoryview(buffer)[:] = bytes(len(buffer))


class ShortReader(MemoryReader):
    """It stops at the end of a block and leaves the rest of the buffer as it was."""

    def readinto(self, offset: int, buffer: Room) -> None:
        """One read(2), and never mind its answer."""
        super().readinto(offset, memoryview(buffer)[: 65536 - offset % 65536])


class EndsInZeros(MemoryReader):
    """Past its end there are zeros."""

    def readinto(self, offset: int, buffer: Room) -> None:
        """As much as there is."""
        inside = max(0, min(len(buffer), self.size - offset))
        super().readinto(min(offset, self.size), memoryview(buffer)[:inside])


class SeekingReader(MemoryReader):
    """It seeks, then reads: another thread's seek comes between."""

    def readinto(self, offset: int, buffer: Room) -> None:
        """Seek, a pause, read."""
        self.place = offset
        time.sleep(PAUSE / 100)
        super().readinto(min(self.place, self.size - len(buffer)) if len(buffer) and offset >= 0 else offset, buffer)


class CachingReader(MemoryReader):
    """It reads the volume once and remembers it."""

    def __init__(self, volume: MemoryVolume) -> None:
        super().__init__(MemoryVolume(volume.data, unreadable=volume.unreadable))


class AlignedOnly(MemoryReader):
    """It reads from the sector before, wherever it is asked to begin."""

    def readinto(self, offset: int, buffer: Room) -> None:
        """Round down."""
        super().readinto(offset // 512 * 512 if offset + len(buffer) <= self.size else offset, buffer)


class ClosesOnce(MemoryReader):
    """Its second close is an error."""

    def close(self) -> None:
        """As os.close."""
        if self.closed:
            raise ValueError("it is closed")
        super().close()


class ReadsWhenClosed(MemoryReader):
    """It goes on after close."""

    def close(self) -> None:
        """Nothing to see here."""


# --- stills ------------------------------------------------------------------------------------


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
