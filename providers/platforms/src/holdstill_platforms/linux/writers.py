"""Writing block devices and plain files, durably, and reading back what is stored."""

from __future__ import annotations

import abc
import contextlib
import errno
import os
import threading
from pathlib import Path
from typing import Final

from holdstill.errors import WriteFault
from holdstill.model.buffers import Buffer
from holdstill.model.extents import Extents
from holdstill.spi.reader import Reader
from holdstill.spi.writer import Writer
from holdstill_platforms.linux import ioctls, libc
from holdstill_platforms.linux.channel import Channel, EndedEarly, flat, open_device, open_file
from holdstill_platforms.linux.readers import BlockReader, FileReader, holes

#: a file's written pages are pushed out of the page cache each time this many bytes were written
PUSH_OUT: Final = 64 << 20
#: pieces of at least this many bytes go past the page cache where the file system can
DIRECT_FROM: Final = 256 << 10
#: zeros are written in pieces of this size
ZEROS: Final = bytes(1 << 20)

_CANNOT: Final = {errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS, errno.ENOTTY}


class ChannelWriter(Writer):
    """What writers of devices and of files have in common."""

    def __init__(self, channel: Channel, path: str) -> None:
        self.size = channel.size
        self.alignment = max(4096, channel.unit)
        self._channel = channel
        self._path = path
        self._lost = ""

    def write(self, offset: int, buffer: Buffer) -> None:
        """Write all of ``buffer`` at ``offset``, or raise ``WriteFault``."""
        data = flat(buffer)
        self._channel.check(offset, len(data))
        try:
            self._channel.write(offset, data)
        except EndedEarly:
            raise self._fault("it takes no more bytes") from None
        except OSError as error:
            raise self._refusal(error, f"{len(data)} bytes at offset {offset}") from error

    def zero(self, offset: int, length: int) -> None:
        """Make the range read as zeros, the cheapest way that is sure to."""
        self._channel.check(offset, length)
        try:
            if length:
                self._zero(offset, length)
        except EndedEarly:
            raise self._fault("it takes no more bytes") from None
        except OSError as error:
            raise self._refusal(error, f"zeros at offset {offset}") from error

    @abc.abstractmethod
    def _zero(self, offset: int, length: int) -> None:
        """Zero a range that is not empty and inside."""

    def _write_zeros(self, offset: int, length: int) -> None:
        for start in range(offset, offset + length, len(ZEROS)):
            self._channel.write(start, memoryview(ZEROS)[: offset + length - start])

    def flush(self) -> None:
        """Everything written is on stable storage when this returns. Once failed, it fails for good.

        The kernel reports a write that was lost only once (fsync(2)), so a second try would prove nothing.
        """
        self._channel.check(0, 0)
        if self._lost:
            raise self._fault(self._lost)
        try:
            self._flush()
        except OSError as error:
            self._lost = f"what was written is not on stable storage ({os.strerror(error.errno or errno.EIO)})"
            raise self._fault(self._lost) from error

    @abc.abstractmethod
    def _flush(self) -> None:
        """Sync, and forget what is cached."""

    def close(self) -> None:
        """Let go of it."""
        self._channel.close()

    def _refusal(self, error: OSError, what: str) -> WriteFault:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return WriteFault(
                f"{what} did not fit: no space is left under it",
                subject=self._path,
                next_step="make room where it is stored, then restore again",
            )
        return self._fault(f"{what} could not be written: {os.strerror(error.errno or errno.EIO)}")

    def _fault(self, what: str) -> WriteFault:
        return WriteFault(what, subject=self._path, next_step="look into the system's log; restore to another volume")


class BlockWriter(ChannelWriter):
    """A block device, opened O_EXCL."""

    zero_grain = 64 << 10

    def _zero(self, offset: int, length: int) -> None:
        """Punch where the kernel guarantees zeros, else have zeros written. BLKDISCARD guarantees nothing."""
        head, tail = self._channel.whole_units(offset, length)
        if tail > head:
            self._zero_sectors(head, tail - head)
        self._write_zeros(offset, head - offset)
        self._write_zeros(tail, offset + length - tail)

    def _zero_sectors(self, offset: int, length: int) -> None:
        for way in (libc.punch_hole, ioctls.zero_out):
            try:
                return way(self._channel.fd, offset, length)
            except OSError as error:
                if error.errno not in _CANNOT:
                    raise
        return self._write_zeros(offset, length)

    def _flush(self) -> None:
        os.fsync(self._channel.fd)
        with contextlib.suppress(PermissionError):
            ioctls.flush_buffers(self._channel.fd)

    def reader(self) -> Reader:
        """A reader of what the device holds."""
        return BlockReader(open_device(self._path, os.O_RDONLY), self._path, exclusive=False)


class FileWriter(ChannelWriter):
    """A plain file. Large pieces go straight to the disk; small ones gather in the page cache, which is emptied."""

    def __init__(self, channel: Channel, path: str) -> None:
        super().__init__(channel, path)
        self._past_cache = _past_cache(channel)
        self._counting = threading.Lock()
        self._unpushed = 0

    def write(self, offset: int, buffer: Buffer) -> None:
        """Write all of ``buffer`` at ``offset``, or raise ``WriteFault``."""
        data = flat(buffer)
        if len(data) < DIRECT_FROM or not self._straight(offset, data):
            self._through_cache(offset, data)

    def _straight(self, offset: int, data: memoryview) -> bool:
        self._channel.check(offset, len(data))
        try:
            return self._past_cache is not None and self._past_cache.write_direct(offset, data)
        except (OSError, EndedEarly):
            return False  # the cache takes it, or says what is wrong

    def _through_cache(self, offset: int, data: memoryview) -> None:
        super().write(offset, data)
        with self._counting:
            self._unpushed += len(data)
            full = self._unpushed >= PUSH_OUT
            if full:
                self._unpushed = 0
        if full:
            self._push_out()

    def _push_out(self) -> None:
        """Begin to write back what is dirty and forget what is clean (mm/fadvise.c does both)."""
        os.posix_fadvise(self._channel.fd, 0, 0, os.POSIX_FADV_DONTNEED)

    def _zero(self, offset: int, length: int) -> None:
        try:
            libc.punch_hole(self._channel.fd, offset, length)
        except OSError as error:
            if error.errno not in _CANNOT:
                raise
            there = Extents.of((offset, length)).difference(holes(self._channel.fd, offset, offset + length))
            for start, count in there:
                self._write_zeros(start, count)

    def _flush(self) -> None:
        os.fsync(self._channel.fd)
        self._sync_folder()
        self._push_out()

    def _sync_folder(self) -> None:
        """So that the name of a new file is as durable as its bytes. Not every network file system can."""
        try:
            folder = os.open(Path(self._path).parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except PermissionError:
            return
        try:
            os.fsync(folder)
        except OSError as error:
            if error.errno not in _CANNOT:
                raise
        finally:
            os.close(folder)

    def close(self) -> None:
        """Let go of it."""
        super().close()
        if self._past_cache is not None:
            self._past_cache.close()

    def reader(self) -> Reader:
        """A reader of what is stored."""
        return FileReader(open_file(self._path, os.O_RDONLY, direct=True), self._path, exclusive=False, stored=True)


def _past_cache(channel: Channel) -> Channel | None:
    """A second way into the same file."""
    try:
        return open_file(f"/proc/self/fd/{channel.fd}", os.O_WRONLY, direct=True)
    except OSError:
        return None
