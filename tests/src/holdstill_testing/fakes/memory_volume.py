"""A volume in memory: readers with faults, writers, and a world that goes on changing it."""

from __future__ import annotations

import threading

from holdstill.errors import ReadFault, VolumeBusy, WriteFault
from holdstill.model.buffers import Buffer, Room
from holdstill.model.extents import Extents
from holdstill.model.volume import VolumeFacts, VolumeKind
from holdstill.spi.reader import Reader
from holdstill.spi.volume import Volume
from holdstill.spi.writer import Writer


class MemoryVolume(Volume):
    """Bytes that pretend to be a volume. ``data`` is the independent oracle.

    ``unreadable`` and ``unwritable`` are the ranges whose access fails; ``changes`` counts what ``change`` and writers
    did. A reader or writer that was opened exclusively is noticed: a second one is ``VolumeBusy``.
    """

    def __init__(
        self,
        data: Buffer,
        path: str = "/fake/volume",
        *,
        unreadable: Extents | None = None,
        unwritable: Extents | None = None,
    ) -> None:
        self.data = bytearray(data)
        self.facts = VolumeFacts(path, path, VolumeKind.FILE, len(self.data), identity=path)
        self.unreadable = unreadable or Extents.none()
        self.unwritable = unwritable or Extents.none()
        self.changes = 0
        self.lock = threading.Lock()
        self.held = False

    def change(self, offset: int, content: Buffer) -> None:
        """What somebody else writes while we read."""
        with self.lock:
            self.data[offset : offset + len(content)] = content
            self.changes += 1

    def open_reader(self, *, exclusive: bool) -> MemoryReader:
        """A reader; an exclusive one notices changes."""
        self.hold(exclusive=exclusive)
        return MemoryReader(self, exclusive=exclusive)

    def open_writer(self) -> MemoryWriter:
        """The only writer."""
        self.hold(exclusive=True)
        return MemoryWriter(self)

    def hold(self, *, exclusive: bool) -> None:
        """Take the volume for oneself, if nobody has it."""
        with self.lock:
            if exclusive and self.held:
                raise VolumeBusy("another reader or writer has it", subject=self.facts.path)
            self.held = self.held or exclusive


class MemoryReader(Reader):
    """The reference reader."""

    def __init__(self, volume: MemoryVolume, *, exclusive: bool = False) -> None:
        self.volume = volume
        self.size = len(volume.data)
        self.exclusive = exclusive
        self.closed = False
        self.changes = volume.changes

    def readinto(self, offset: int, buffer: Room) -> None:
        """As the contract says."""
        room = memoryview(buffer).cast("B")
        check_range(self, offset, room.nbytes)
        refuse_unreadable(self.volume.unreadable, offset, room.nbytes, self.volume.facts.path)
        with self.volume.lock:
            room[:] = self.volume.data[offset : offset + room.nbytes]

    def changed(self) -> str | None:
        """Has anybody written since it was opened?"""
        return "it was written to" if self.volume.changes != self.changes else None

    def close(self) -> None:
        """As the contract says."""
        if self.exclusive and not self.closed:
            self.volume.held = False
        self.closed = True


class MemoryWriter(Writer):
    """The reference writer. ``flushed`` is what a loss of power would leave."""

    def __init__(self, volume: MemoryVolume) -> None:
        self.volume = volume
        self.size = len(volume.data)
        self.flushed = bytes(volume.data)
        self.closed = False

    def write(self, offset: int, buffer: Buffer) -> None:
        """As the contract says."""
        content = memoryview(buffer).cast("B")
        check_range(self, offset, content.nbytes)
        if self.volume.unwritable.clip(offset, offset + content.nbytes):
            raise WriteFault("the range cannot be written", subject=f"{self.volume.facts.path} at {offset}")
        self.volume.change(offset, content)

    def zero(self, offset: int, length: int) -> None:
        """As the contract says."""
        self.write(offset, bytes(length))

    def flush(self) -> None:
        """As the contract says."""
        with self.volume.lock:
            self.flushed = bytes(self.volume.data)

    def reader(self) -> MemoryReader:
        """Of what is stored: what was flushed."""
        return MemoryReader(MemoryVolume(self.flushed, self.volume.facts.path, unreadable=self.volume.unreadable))

    def close(self) -> None:
        """As the contract says."""
        if not self.closed:
            self.volume.held = False
        self.closed = True


def check_range(holder: MemoryReader | MemoryWriter, offset: int, length: int) -> None:
    """Inside the volume, and not closed; else ValueError."""
    if holder.closed:
        raise ValueError("it is closed")
    if offset < 0 or offset + length > holder.size:
        raise ValueError(f"{length} bytes from {offset} on are not inside the {holder.size} bytes of the volume")


def refuse_unreadable(unreadable: Extents, offset: int, length: int, path: str) -> None:
    """Raise ``ReadFault`` naming the first unreadable run inside the range, if there is one."""
    for bad, count in unreadable.clip(offset, offset + length):
        raise ReadFault("the range cannot be read", offset=bad, length=count, subject=path)
