"""One open device or file, read and written past the page cache at any offset.

O_DIRECT moves only whole, aligned units between the disk and aligned memory. What a caller asks for otherwise goes
through an aligned buffer of the calling thread.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import threading
from typing import Final

import attrs
import numpy as np

from holdstill.model.buffers import Buffer
from holdstill_platforms.linux import ioctls, libc

#: the most that goes through the aligned buffer at once; each thread keeps one buffer of this size
BOUNCE: Final = 1 << 20

_of_thread = threading.local()


class EndedEarly(Exception):
    """The device or file gave no more bytes, although it should have."""


@attrs.define
class Channel:
    """An open descriptor and how it may be used. Safe for several threads; raises ``OSError`` and ``EndedEarly``."""

    fd: int
    unit: int
    """Offsets and lengths must be multiples of this for direct access; memory of a page at least, which satisfies
    every driver. Bytes, a power of two."""
    size: int
    """Bytes; a file may end inside a unit, a device never does."""
    direct: bool
    is_device: bool
    _edges: threading.Lock = attrs.field(factory=threading.Lock, init=False)

    @property
    def closed(self) -> bool:
        """Was it closed?"""
        return self.fd < 0

    def close(self) -> None:
        """Let go of it. May be called twice."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def check(self, offset: int, length: int) -> None:
        """ValueError if it is closed, or if the range is not inside it."""
        if self.closed:
            raise ValueError("it is closed")
        if offset < 0 or length < 0 or offset + length > self.size:
            raise ValueError(f"offset {offset}, length {length} is not inside {self.size} bytes")

    # --- reading --------------------------------------------------------------------------------

    def readinto(self, offset: int, room: memoryview) -> None:
        """Fill ``room`` (flat, of bytes) with what is stored from ``offset`` on."""
        if self.direct and not self._fits(offset, room):
            self._read_bounced(offset, room)
        elif self.direct:
            self._read_direct(offset, room, len(room))
        else:
            self._read_uncached(offset, room)

    def _read_bounced(self, offset: int, room: memoryview) -> None:
        done = 0
        while done < len(room):
            start = (offset + done) // self.unit * self.unit
            skip = offset + done - start
            count = min(len(room) - done, BOUNCE - skip)
            whole = -(-(skip + count) // self.unit) * self.unit
            bounce = _bounce()[:whole]
            self._read_direct(start, bounce, skip + count)
            room[done : done + count] = bounce[skip : skip + count]
            done += count

    def _read_direct(self, offset: int, room: memoryview, needed: int) -> None:
        """Read whole units into ``room`` until ``needed`` bytes are there: a file may end inside the last unit."""
        got = 0
        while got < needed:
            try:
                count = os.preadv(self.fd, [room[got:]], offset + got)
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                self._give_up_direct()
                return self._read_uncached(offset, room[:needed])
            if count == 0:
                raise EndedEarly
            got += count
            if got < needed:
                got = got // self.unit * self.unit
                if count < self.unit:
                    raise EndedEarly
        return None

    def _give_up_direct(self) -> None:
        """Some file systems accept O_DIRECT and refuse the reads."""
        fcntl.fcntl(self.fd, fcntl.F_SETFL, fcntl.fcntl(self.fd, fcntl.F_GETFL) & ~os.O_DIRECT)
        self.direct = False

    def _read_uncached(self, offset: int, room: memoryview) -> None:
        """Read through the cache and leave nothing of it behind.

        A device's cache knows nothing of what a file system mounted on it writes: there it is emptied before, too.
        """
        if self.is_device:
            self._forget_device(offset, len(room))
        got = 0
        while got < len(room):
            count = os.preadv(self.fd, [room[got:]], offset + got)
            if count == 0:
                raise EndedEarly
            got += count
        self._forget(offset, len(room))

    def _forget_device(self, offset: int, length: int) -> None:
        try:
            ioctls.flush_buffers(self.fd)
        except PermissionError:
            self._forget(offset, length)

    def _forget(self, offset: int, length: int) -> None:
        """The kernel forgets only pages that lie wholly in the range."""
        start = offset // mmap.PAGESIZE * mmap.PAGESIZE
        end = -(-(offset + length) // mmap.PAGESIZE) * mmap.PAGESIZE
        os.posix_fadvise(self.fd, start, end - start, os.POSIX_FADV_DONTNEED)

    # --- writing --------------------------------------------------------------------------------

    def write(self, offset: int, data: memoryview) -> None:
        """Write all of ``data`` (flat, of bytes) at ``offset``."""
        if not self.direct or self._fits(offset, data):
            self._write_all(offset, data)
            return
        head, tail = self.whole_units(offset, len(data))
        if head > offset:
            self._write_edge(offset, data[: head - offset])
        for start in range(head, tail, BOUNCE):
            count = min(BOUNCE, tail - start)
            bounce = _bounce()[:count]
            bounce[:] = data[start - offset : start - offset + count]
            self._write_all(start, bounce)
        if tail < offset + len(data):
            self._write_edge(tail, data[tail - offset :])

    def write_direct(self, offset: int, data: memoryview) -> bool:
        """Write all of ``data`` past the cache, if whole aligned units are what it is and the file can do it."""
        if not self.direct or not self._fits(offset, data):
            return False
        try:
            self._write_all(offset, data)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            self._give_up_direct()
            return False
        return True

    def whole_units(self, offset: int, length: int) -> tuple[int, int]:
        """The part of a range that consists of whole units; where there is none, both are the range's end."""
        end = offset + length
        head = min(-(-offset // self.unit) * self.unit, end)
        return head, max(end // self.unit * self.unit, head)

    def _write_edge(self, offset: int, data: memoryview) -> None:
        """Change part of one unit or of two. The lock: another thread may be changing another part of the same."""
        start = offset // self.unit * self.unit
        whole = -(-(offset + len(data) - start) // self.unit) * self.unit
        with self._edges:
            bounce = _bounce()[:whole]
            self._read_direct(start, bounce, whole)
            bounce[offset - start : offset - start + len(data)] = data
            self._write_all(start, bounce)

    def _write_all(self, offset: int, data: memoryview) -> None:
        done = 0
        while done < len(data):
            count = os.pwritev(self.fd, [data[done:]], offset + done)
            if count == 0:
                raise EndedEarly
            done += count

    # --- both -----------------------------------------------------------------------------------

    def _fits(self, offset: int, data: memoryview) -> bool:
        if offset % self.unit or len(data) % self.unit:
            return False
        return len(data) == 0 or int(np.frombuffer(data, np.uint8).ctypes.data) % max(self.unit, mmap.PAGESIZE) == 0


def flat(buffer: Buffer) -> memoryview:
    """Any buffer as a flat view of bytes."""
    return memoryview(buffer).cast("B")


def open_device(path: str, flags: int) -> Channel:
    """Open a block device. Raises ``OSError``."""
    fd, direct = _open(path, flags)
    try:
        return Channel(
            fd=fd, unit=ioctls.logical_sector(fd), size=ioctls.device_size(fd), direct=direct, is_device=True
        )
    except BaseException:
        os.close(fd)
        raise


def _open(path: str, flags: int) -> tuple[int, bool]:
    flags |= os.O_CLOEXEC
    try:
        return os.open(path, flags | os.O_DIRECT), True
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    return os.open(path, flags), False


def open_file(path: str, flags: int, *, direct: bool) -> Channel:
    """Open a regular file; ``direct`` where its file system allows it. Raises ``OSError``."""
    fd, is_direct = _open(path, flags) if direct else (os.open(path, flags | os.O_CLOEXEC), False)
    try:
        unit = libc.direct_alignment(fd) if is_direct else None
        channel = Channel(
            fd=fd,
            unit=max(unit or 0, mmap.PAGESIZE),
            size=os.fstat(fd).st_size,
            direct=is_direct,
            is_device=False,
        )
        if unit == 0:
            channel._give_up_direct()  # noqa: SLF001
    except BaseException:
        os.close(fd)
        raise
    return channel


def _bounce() -> memoryview:
    """This thread's aligned buffer."""
    if not hasattr(_of_thread, "bounce"):
        _of_thread.bounce = memoryview(mmap.mmap(-1, BOUNCE))
    view: memoryview = _of_thread.bounce
    return view
