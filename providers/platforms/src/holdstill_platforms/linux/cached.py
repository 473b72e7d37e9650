"""What of a plain file the host has in its page cache already: no disk is as near."""

from __future__ import annotations

import mmap
import os

from holdstill_platforms.linux import libc


class Cached:
    """Takes bytes out of a file's page cache, and brings none in.

    For a regular file the page cache is the truth, whoever writes to it. For a device it is not: see ``Channel``.
    """

    def __init__(self, fd: int) -> None:
        """Of the file that is open as ``fd``."""
        try:
            self._fd = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:  # no /proc: then everything comes from the disk
            self._fd = -1
            return
        # What is dropped between our look and our read is then read alone, and nothing ahead of it.
        os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_RANDOM)

    def take(self, offset: int, room: memoryview) -> bool:
        """Fill ``room`` with the bytes from ``offset`` on, if all of them are cached."""
        pages = -(-(offset + len(room)) // mmap.PAGESIZE) - offset // mmap.PAGESIZE
        try:
            if self._fd < 0 or libc.cached_pages(self._fd, offset, len(room)) < pages:
                return False
            return os.preadv(self._fd, [room], offset) == len(room)
        except OSError:  # a kernel that cannot say; or what is really wrong, and the disk will tell
            return False

    def close(self) -> None:
        """Let go of it. May be called twice."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
