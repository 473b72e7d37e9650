"""Writing a regular file, which stays sparse."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

from holdstill.errors import VolumeDenied, VolumeMissing, VolumeUnusable, WriteFault
from holdstill.model.buffers import Buffer
from holdstill.pipeline.plainreader import PlainFileReader, data_runs
from holdstill.spi.reader import Reader
from holdstill.spi.writer import Writer

_ZEROS: Final = bytes(1 << 20)
#: what systems answer that cannot sync a directory
_NO_SUCH_SYNC: Final = (errno.EBADF, errno.EINVAL, errno.EACCES, errno.EISDIR)


class PlainFileWriter(Writer):
    """Writes in place. Holes are left alone; only what has data is overwritten with zeros."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lost: WriteFault | None = None
        try:
            self._fd = os.open(path, os.O_RDWR | getattr(os, "O_CLOEXEC", 0))
        except FileNotFoundError as error:
            raise VolumeMissing("there is no such file", subject=path) from error
        except PermissionError as error:
            raise VolumeDenied("may not be written", subject=path, next_step="run as a user who may") from error
        except OSError as error:
            raise VolumeUnusable(f"cannot be opened: {error.strerror}", subject=path) from error
        self.size = os.fstat(self._fd).st_size

    def write(self, offset: int, buffer: Buffer) -> None:
        """Write all of it. A full file system is a ``WriteFault``."""
        left = memoryview(buffer).cast("B")
        self._check(offset, len(left))
        while left:
            try:
                written = os.pwrite(self._fd, left, offset)
            except OSError as error:
                raise self._fault(f"{len(left)} bytes at {offset} cannot be written", error) from error
            left = left[written:]
            offset += written

    def zero(self, offset: int, length: int) -> None:
        """Overwrite what of the range has data."""
        self._check(offset, length)
        for start, count in data_runs(self._fd, offset, offset + length):
            for at in range(start, start + count, len(_ZEROS)):
                self.write(at, memoryview(_ZEROS)[: start + count - at])

    def flush(self) -> None:
        """Sync the file and the directory that names it. Once failed, it fails for good: the kernel has forgotten
        which pages it could not write.
        """
        if self._lost is not None:
            raise self._lost
        try:
            os.fsync(self._fd)
            self._sync_directory()
        except OSError as error:
            self._lost = self._fault("what was written did not reach stable storage", error)
            raise self._lost from error

    def reader(self) -> Reader:
        """A reader of the file, its pages dropped from the cache where the system lets us."""
        self.flush()
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_DONTNEED)
        return PlainFileReader(self._path)

    def close(self) -> None:
        """Close the file. Does not flush."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _check(self, offset: int, length: int) -> None:
        if self._fd < 0:
            raise ValueError("the writer is closed")
        if offset < 0 or length < 0 or offset + length > self.size:
            raise ValueError(f"outside the volume: {length} bytes at {offset} of {self.size}")

    def _sync_directory(self) -> None:
        try:
            fd = os.open(Path(self._path).parent, os.O_RDONLY)
        except OSError as error:
            if error.errno in _NO_SUCH_SYNC:
                return
            raise
        try:
            os.fsync(fd)
        except OSError as error:
            if error.errno not in _NO_SUCH_SYNC:
                raise
        finally:
            os.close(fd)

    def _fault(self, what: str, error: OSError) -> WriteFault:
        return WriteFault(f"{what}: {error.strerror}", subject=self._path)
