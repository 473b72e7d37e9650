"""Files that are whole, durable and private: what the local target is made of.

The order *write, fsync the file, name it, fsync its folder* is what POSIX asks of whoever wants an entry to survive a
loss of power (fsync(2): the folder needs an fsync of its own). A failed fsync is final: Linux drops the dirty pages
with the report (https://lwn.net/Articles/752063/), so a second fsync would lie.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from typing import Final

from holdstill.model.buffers import Buffer
from holdstill_storage import direct

#: how many buffers one writev(2) takes
_PARTS: Final = min(os.sysconf("SC_IOV_MAX"), 1024)
#: from this many bytes on it is worth telling the kernel that they will not be needed again
_BIG: Final = 1 << 20
#: a name that no object has, so that what a killed writer leaves is never taken for one
HIDDEN: Final = ".new-"
#: seconds after which a hidden file is nobody's. No put takes that long; one that did would fail, not lie.
ABANDONED: Final = 24 * 3600

_READ: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
_FOLDER: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY


def hidden_name() -> str:
    """A fresh name for a file that is being written."""
    return f"{HIDDEN}{os.getpid()}-{secrets.token_hex(8)}"


def open_new(path: str, *, at: int) -> int:
    """A new file for our own eyes, open for writing. FileExistsError if the name is taken."""
    return os.open(path, _NEW, 0o600, dir_fd=at)


def open_to_read(path: str, *, at: int) -> int:
    """An object's file. O_NONBLOCK, so that a foreign pipe under its name does not hang us."""
    return os.open(path, _READ, dir_fd=at)


def write_through(file: int, parts: Sequence[Buffer]) -> int:
    """Write the concatenation of ``parts`` and put it on stable storage. Returns its length in bytes."""
    waiting = [view for part in parts if (view := memoryview(part).cast("B")).nbytes]
    total = sum(view.nbytes for view in waiting)
    if total < _BIG or not direct.write(file, waiting, total):
        _write_cached(file, waiting)
    os.fsync(file)
    forget_pages(file, 0, total)
    return total


def _write_cached(file: int, waiting: list[memoryview]) -> None:
    first = 0
    while first < len(waiting):
        written = os.writev(file, waiting[first : first + _PARTS])
        while first < len(waiting) and written >= waiting[first].nbytes:
            written -= waiting[first].nbytes
            first += 1
        if written:
            waiting[first] = waiting[first][written:]


def read_exactly(file: int, offset: int, length: int) -> bytes:
    """``length`` bytes from ``offset`` on; fewer only where the file ends before."""
    pieces = []
    while length and (piece := os.pread(file, length, offset)):
        pieces.append(piece)
        offset, length = offset + len(piece), length - len(piece)
    forget_pages(file, offset - sum(map(len, pieces)), sum(map(len, pieces)))
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def forget_pages(file: int, offset: int, length: int) -> None:
    """Let the host keep its own pages in its cache rather than a backup's. Only worth it for big ranges."""
    if length >= _BIG and hasattr(os, "posix_fadvise"):
        os.posix_fadvise(file, offset, length, os.POSIX_FADV_DONTNEED)


def sync_folder(path: str, *, at: int | None) -> None:
    """Make the folder's entries durable."""
    folder = os.open(path, _FOLDER, dir_fd=at)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def make_folder(path: str, *, at: int | None) -> None:
    """Make one folder for our own eyes, if it is not there. Durable either way: whoever made it may not have been."""
    try:
        os.mkdir(path, 0o700, dir_fd=at)
    except FileExistsError:
        if not stat_is_folder(path, at=at):
            raise
    sync_folder(os.path.dirname(path) or ".", at=at)  # noqa: PTH120


def stat_is_folder(path: str, *, at: int | None) -> bool:
    """Is there a folder under this name?"""
    try:
        sync = os.open(path, _FOLDER, dir_fd=at)
    except NotADirectoryError:
        return False
    os.close(sync)
    return True
