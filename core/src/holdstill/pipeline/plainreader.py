"""Reading a regular file, and noticing that it changed meanwhile."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from holdstill.errors import ReadFault, VolumeDenied, VolumeMissing, VolumeUnusable
from holdstill.model.buffers import Room
from holdstill.model.extents import Extents
from holdstill.spi.reader import Reader

#: nanoseconds within which two writes may get one time stamp: two ticks of the slowest kernel clock (100 Hz)
_TICK: Final = 20_000_000


class PlainFileReader(Reader):
    """Reads through the host's cache, which for a regular file is the truth, and asks the kernel not to grow it.

    With ``settle``, ``changed`` misses no write that leaves a trace in the file's times: dirty pages are written out
    first (so that a store through an old memory map has to fault, and is stamped, again), and a stamp so young that a
    later write could get the same one is waited out.
    """

    def __init__(self, path: str, *, settle: bool = False) -> None:
        self._path = path
        try:
            self._fd = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        except FileNotFoundError as error:
            raise VolumeMissing("there is no such file", subject=path) from error
        except PermissionError as error:
            raise VolumeDenied("may not be read", subject=path, next_step="run as a user who may") from error
        except OSError as error:
            raise VolumeUnusable(f"cannot be opened: {error.strerror}", subject=path) from error
        if hasattr(os, "posix_fadvise"):
            with contextlib.suppress(OSError):
                os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_NOREUSE)
        if settle:
            self._settle()
        self._opened = os.fstat(self._fd)
        self.size = self._opened.st_size

    def readinto(self, offset: int, buffer: Room) -> None:
        """Fill ``buffer``. A file that became shorter is a ``ReadFault`` of what is missing."""
        room = memoryview(buffer).cast("B")
        if self._fd < 0:
            raise ValueError("the reader is closed")
        if offset < 0 or offset + len(room) > self.size:
            raise ValueError(f"outside the volume: {len(room)} bytes at {offset} of {self.size}")
        done = 0
        while done < len(room):
            done += self._some(offset + done, room[done:])

    def holes(self, start: int, end: int) -> Extents:
        """What the file system has no data for. Behind the end of a file that became shorter is no hole."""
        end = min(end, self.size)
        found = Extents.of(*data_runs(self._fd, start, end)).complement(end)
        return found.clip(start, min(end, os.fstat(self._fd).st_size))

    def changed(self) -> str | None:
        """What size, times and name of the file tell."""
        now = os.fstat(self._fd)
        if now.st_size != self.size:
            return f"{self._path}: its size went from {self.size} to {now.st_size} bytes while it was read"
        if (now.st_mtime_ns, now.st_ctime_ns) != (self._opened.st_mtime_ns, self._opened.st_ctime_ns):
            return f"{self._path}: it was written to while it was read"
        try:
            named = Path(self._path).stat()
        except OSError:
            return f"{self._path}: it was renamed or removed while it was read"
        if not os.path.samestat(named, now):
            return f"{self._path}: another file took its name while it was read"
        return None

    def close(self) -> None:
        """Close the file."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _some(self, offset: int, room: memoryview) -> int:
        try:
            if hasattr(os, "preadv"):
                got = os.preadv(self._fd, [room], offset)
            else:
                piece = os.pread(self._fd, len(room), offset)
                got = len(piece)
                room[:got] = piece
        except OSError as error:
            raise self._fault(str(error.strerror), offset, len(room)) from error
        if got == 0:
            raise self._fault("the file became shorter", offset, len(room))
        return got

    def _fault(self, what: str, offset: int, length: int) -> ReadFault:
        said = f"{length} bytes at {offset} cannot be read: {what}"
        return ReadFault(said, offset=offset, length=length, subject=self._path)

    def _settle(self) -> None:
        with contextlib.suppress(OSError):  # some systems sync only what is open for writing
            os.fsync(self._fd)
        status = os.fstat(self._fd)
        age = time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns)
        if 0 <= age < _TICK:
            time.sleep((_TICK - age) / 1e9)


def data_runs(fd: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    """``(offset, length)`` of what of ``[start, end)`` may hold data; all of it where the system cannot say."""
    if not hasattr(os, "SEEK_DATA"):
        yield start, max(0, end - start)
        return
    while start < end:
        try:
            data = os.lseek(fd, start, os.SEEK_DATA)
            hole = os.lseek(fd, data, os.SEEK_HOLE)
        except OSError as error:
            if error.errno != errno.ENXIO:  # a file system that cannot say
                yield start, end - start
            return
        if data < end:
            yield data, min(hole, end) - data
        start = hole
