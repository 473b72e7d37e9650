"""Writing past the page cache: a backup's packs are not read again soon, and the disk takes large pieces at once."""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import threading
from collections.abc import Iterator, Sequence
from typing import Final

#: bytes that go to the disk at once; each thread keeps one aligned buffer of this size
PIECE: Final = 4 << 20
#: O_DIRECT moves whole units: no file system of Linux asks for larger ones than a page (open(2), statx(2))
_UNIT: Final = mmap.PAGESIZE
#: what a file system answers that does not have it
_CANNOT: Final = frozenset({errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTSUP})

_of_thread = threading.local()


def write(file: int, views: Sequence[memoryview], total: int) -> bool:
    """Write the concatenation of ``views``, ``total`` bytes, into the new, empty ``file``.

    False where its file system cannot: then nothing is in it, and it is as it was. Raises ``OSError``.
    """
    if not hasattr(os, "O_DIRECT") or not _switch(file, on=True):
        return False
    try:
        for piece in _pieces(views):
            _write_all(file, piece)
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
        os.ftruncate(file, 0)
        os.lseek(file, 0, os.SEEK_SET)
        return False
    finally:
        _switch(file, on=False)
    os.ftruncate(file, total)
    return True


def _switch(file: int, *, on: bool) -> bool:
    flags = fcntl.fcntl(file, fcntl.F_GETFL)
    try:
        fcntl.fcntl(file, fcntl.F_SETFL, flags | os.O_DIRECT if on else flags & ~os.O_DIRECT)
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
        return False
    return True


def _pieces(views: Sequence[memoryview]) -> Iterator[memoryview]:
    """The concatenation in whole units, the last one filled up with zeros; each lies in the same aligned buffer."""
    room, held = _buffer(), 0
    for view in views:
        taken = 0
        while taken < len(view):
            count = min(len(view) - taken, PIECE - held)
            room[held : held + count] = view[taken : taken + count]
            held, taken = held + count, taken + count
            if held == PIECE:
                yield room
                held = 0
    if held:
        whole = -(-held // _UNIT) * _UNIT
        room[held:whole] = bytes(whole - held)
        yield room[:whole]


def _write_all(file: int, piece: memoryview) -> None:
    while piece:
        written = os.write(file, piece)
        if written % _UNIT:
            raise OSError(errno.EINVAL, "a direct write ended inside a unit")
        piece = piece[written:]


def _buffer() -> memoryview:
    """This thread's aligned buffer."""
    if not hasattr(_of_thread, "buffer"):
        _of_thread.buffer = memoryview(mmap.mmap(-1, PIECE))
    view: memoryview = _of_thread.buffer
    return view
