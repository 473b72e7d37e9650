"""Readers with one fault each."""

from __future__ import annotations

import time
from typing import Final

from holdstill.errors import ReadFault
from holdstill.model.buffers import Room
from holdstill_testing.fakes.memory_volume import MemoryReader, MemoryVolume, check_range

#: widens the moment in which two threads meet
PAUSE: Final = 0.00002


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
        check_range(self, offset, len(buffer))
        self.place = offset
        time.sleep(PAUSE)
        super().readinto(min(self.place, self.size - len(buffer)), buffer)


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
