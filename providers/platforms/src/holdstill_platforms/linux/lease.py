"""Noticing whether somebody changed a plain file while it was read."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import time
from pathlib import Path
from typing import Final

import attrs

#: a file's times move in steps of a kernel tick (10 ms at HZ=100): a younger change may be hidden by a later one
TICK: Final = 0.02


@attrs.define
class FileWatch:
    """Begun before the first read, asked after the last.

    A read lease is taken where the kernel grants one (fcntl(2), "Leases"): it is broken before anybody can open the
    file for writing or truncate it. Else the file's size, times and inode are compared.
    """

    fd: int
    path: str
    leased: bool = False
    _before: os.stat_result = attrs.field(init=False)
    _broken: str = attrs.field(default="", init=False)

    def __attrs_post_init__(self) -> None:
        self.leased = take_lease(self.fd)
        self._before = os.fstat(self.fd)
        if not self.leased and time.time() - self._before.st_ctime < TICK:
            time.sleep(TICK)

    def look(self) -> None:
        """Has the lease been broken meanwhile? Then give it up: who wants to write waits for us. A cheap call."""
        if self.leased and fcntl.fcntl(self.fd, fcntl.F_GETLEASE) != fcntl.F_RDLCK:
            self.leased = False
            self._broken = "it was opened for writing while it was read"
            with contextlib.suppress(OSError):
                fcntl.fcntl(self.fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)

    def changed(self) -> str | None:
        """Why it may have changed since, a sentence; or None."""
        self.look()
        if self._broken:
            return self._broken
        try:
            named = Path(self.path).stat()
        except OSError:
            return "it was removed or renamed while it was read"
        now = os.fstat(self.fd)
        if (named.st_dev, named.st_ino) != (now.st_dev, now.st_ino):
            return "it was replaced by another file while it was read"
        if now.st_size != self._before.st_size:
            return f"its size changed from {self._before.st_size} to {now.st_size} bytes while it was read"
        if now.st_mtime_ns != self._before.st_mtime_ns:
            return "it was written to while it was read"
        if not self.leased and now.st_ctime_ns != self._before.st_ctime_ns:
            return "it was changed while it was read"
        return None


def take_lease(fd: int) -> bool:
    """Take a read lease on a file open read-only, without ever being signalled.

    The kernel makes the caller the receiver of the signal (SIGIO, which ends a process that does not expect it) when
    the lease is taken. So the signal is SIGURG first, which is ignored unless asked for, and then nobody receives it.
    """
    try:
        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError:
        return False
    try:
        fcntl.fcntl(fd, fcntl.F_SETOWN, 0)
    except OSError:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        return False
    return True
