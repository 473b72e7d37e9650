"""Reading block devices and plain files: what is stored now, past the page cache."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Final

from holdstill.errors import ReadFault
from holdstill.model.buffers import Room
from holdstill.model.extents import Extents
from holdstill.spi.reader import Reader
from holdstill_platforms.linux import ioctls, sysfs
from holdstill_platforms.linux.cached import Cached
from holdstill_platforms.linux.channel import Channel, EndedEarly, flat
from holdstill_platforms.linux.lease import FileWatch

#: so many holes are asked for at a time; what lies behind them is read like data
HOLES_LIMIT: Final = 1 << 16


class ChannelReader(Reader):
    """What readers of devices and of files have in common."""

    def __init__(self, channel: Channel, path: str) -> None:
        self.size = channel.size
        self.alignment = max(4096, channel.unit)
        self._channel = channel
        self._path = path

    def readinto(self, offset: int, buffer: Room) -> None:
        """Fill ``buffer`` with the bytes from ``offset`` on, or raise ``ReadFault`` naming that range."""
        room = flat(buffer)
        self._channel.check(offset, len(room))
        try:
            self._channel.readinto(offset, room)
        except EndedEarly:
            raise self._fault(offset, len(room), "it gave fewer bytes than it holds") from None
        except OSError as error:
            raise self._fault(offset, len(room), os.strerror(error.errno or errno.EIO)) from error

    def close(self) -> None:
        """Let go of it."""
        self._channel.close()

    def _fault(self, offset: int, length: int, why: str) -> ReadFault:
        return ReadFault(
            f"{length} bytes at offset {offset} could not be read: {why}",
            offset=offset,
            length=length,
            subject=self._path,
            next_step="look into the system's log; `--on-read-error zero` images the rest",
        )


class BlockReader(ChannelReader):
    """A block device.

    Exclusive (O_EXCL): nobody can mount it or build on it meanwhile. A program that opens the device itself is not
    kept out; ``changed`` notices its writes by the device's own counters.
    """

    def __init__(self, channel: Channel, path: str, *, exclusive: bool) -> None:
        super().__init__(channel, path)
        self._written: Callable[[], tuple[int, ...]] | None = None
        if exclusive and (node := sysfs.node_of(os.fstat(channel.fd).st_rdev)) is not None:
            # what somebody wrote before us and the cache still holds must not count as written later
            self._flushes = _flushed(channel.fd)
            self._written = lambda: node.written
            self._before = node.written

    def changed(self) -> str | None:
        """Why the device is not what it was when it was opened, or None."""
        if self._written is None or self._channel.closed:
            return None
        if self._flushes:
            # what was written to the cache meanwhile must reach the counters
            os.fsync(self._channel.fd)
        if ioctls.device_size(self._channel.fd) != self.size:
            return "its size changed while it was read"
        return "something wrote to it while it was read" if self._written() != self._before else None


class FileReader(ChannelReader):
    """A plain file; see ``FileWatch`` for what ``exclusive`` means.

    ``stored``: nothing but what the disk has will do, as for a proof; else what is cached need not be read again.
    """

    def __init__(self, channel: Channel, path: str, *, exclusive: bool, stored: bool = False) -> None:
        super().__init__(channel, path)
        self._cached = None if stored else Cached(channel.fd)
        self._watch = FileWatch(channel.fd, path) if exclusive else None

    def readinto(self, offset: int, buffer: Room) -> None:
        """Fill ``buffer`` with the bytes from ``offset`` on, or raise ``ReadFault`` naming that range."""
        room = flat(buffer)
        self._channel.check(offset, len(room))
        if self._cached is None or not self._cached.take(offset, room):
            super().readinto(offset, room)
        if self._watch is not None:
            self._watch.look()

    def holes(self, start: int, end: int) -> Extents:
        """The holes of a sparse file in ``[start, end)``, as the file system tells of them."""
        self._channel.check(start, max(end - start, 0))
        return holes(self._channel.fd, start, end)

    def close(self) -> None:
        """Let go of it."""
        super().close()
        if self._cached is not None:
            self._cached.close()

    def changed(self) -> str | None:
        """Why the file may not be what it was when it was opened, or None."""
        return self._watch.changed() if self._watch is not None and not self._channel.closed else None


def _flushed(fd: int) -> bool:
    """A failing disk may refuse to flush; it can be read all the same."""
    try:
        os.fsync(fd)
    except OSError:
        return False
    return True


def holes(fd: int, start: int, end: int) -> Extents:
    """Holes of ``[start, end)``, at most ``HOLES_LIMIT`` of them; none where the file system cannot say.

    What lies behind the end of a file that became shorter is no hole: who reads it must find out.
    """
    found: list[tuple[int, int]] = []
    at = start
    try:
        while at < end and len(found) < HOLES_LIMIT:
            hole = os.lseek(fd, at, os.SEEK_HOLE)
            if hole >= end:
                break
            at = _next_data(fd, hole, end)
            found.append((hole, at - hole))
    except OSError:
        pass
    return Extents.of(*found).clip(0, os.fstat(fd).st_size)


def _next_data(fd: int, hole: int, end: int) -> int:
    try:
        return min(os.lseek(fd, hole, os.SEEK_DATA), end)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return end
