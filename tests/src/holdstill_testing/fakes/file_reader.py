"""A plain file as a ``Reader``."""

from __future__ import annotations

import os
from pathlib import Path

from holdstill.errors import ReadFault
from holdstill.model.buffers import Room
from holdstill.spi.reader import Reader


class FileReader(Reader):
    """Positional reads of a file, through the page cache. ``reads`` and ``bytes_read`` count what was asked for."""

    alignment = 1

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.size = os.lseek(self._descriptor, 0, os.SEEK_END)
        self.reads = 0
        self.bytes_read = 0

    def readinto(self, offset: int, buffer: Room) -> None:
        """Fill ``buffer``; a file that has become shorter is a ``ReadFault``."""
        if self._descriptor < 0:
            raise ValueError(f"{self.path} is closed")
        room = memoryview(buffer).cast("B")
        if offset < 0 or offset + room.nbytes > self.size:
            raise ValueError(f"{self.path} has {self.size} bytes, not {offset} + {room.nbytes}")
        self.reads += 1
        self.bytes_read += room.nbytes
        done = 0
        while done < room.nbytes:
            count = os.preadv(self._descriptor, [room[done:]], offset + done)
            if count == 0:
                raise ReadFault("the file became shorter", offset=offset, length=room.nbytes, subject=str(self.path))
            done += count

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
