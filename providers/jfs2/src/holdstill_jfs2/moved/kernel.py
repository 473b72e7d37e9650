"""The calls of AIX themselves: ``fscntl`` and ``mntctl`` of its C library. Unproven on a real host: see ``extentinfo``.

Sources: AIX technical reference, fscntl and mntctl subroutines; headers sys/vmount.h, j2/j2_cntl.h.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from holdstill.errors import VolumeUnusable

#: mntctl(): tell of all that is mounted (sys/vmount.h, MCTL_QUERY)
_QUERY: Final = 2
#: struct vmount: revision, length, file system id, number, and five more words; then for each kind of text where it is
_VMOUNT: Final = struct.Struct("=II8xi")
_TEXTS: Final = 36
#: which text is the place where it is mounted (sys/vmount.h, VMT_STUB)
_STUB: Final = 1
_ROOM: Final = 1 << 20
_WORD: Final = (1 << 64) - 1
#: what is loaded already, and the C library of AIX by its name
_LIBRARIES: Final = (None, "libc.a(shr_64.o)")
_UNTOUCHED: Final = 0xEE


def vfs_of(place: str) -> int:
    """The number of the mount at a place. Raises ``VolumeUnusable`` where the system does not say."""
    room = ctypes.create_string_buffer(_ROOM)
    count = _libc("mntctl")(_QUERY, _ROOM, room)
    if count <= 0:
        raise VolumeUnusable("the system does not tell what is mounted (mntctl)", subject=place)
    found = [number for number, stub in _mounts(room.raw, count) if stub == place]
    if not found:
        raise VolumeUnusable("the system does not know what is mounted there (mntctl)", subject=place)
    return found[-1]


def extentinfo(vfs: int, command: int, head: bytearray, extents: bytearray) -> None:
    """``fscntl`` with ``head``, whose last eight bytes become the address of ``extents``. Both are written to.

    A comment in the header has the extents behind the head, its declaration has a pointer: where the pointer is not
    heeded they come into room that is there for them, and that is an error. Raises ``VolumeUnusable`` for it, and if
    the kernel refuses.
    """
    if struct.calcsize("P") != 8:
        raise VolumeUnusable("a Python of 64 bits is needed: only its structures are known", subject="fscntl")
    behind = bytes([_UNTOUCHED]) * len(extents)
    asked = ctypes.create_string_buffer(bytes(head) + behind, len(head) + len(behind))
    there = ctypes.create_string_buffer(bytes(extents), max(1, len(extents)))
    if extents:
        struct.pack_into("=Q", asked, len(head) - 8, ctypes.addressof(there))
    call = _libc("fscntl")
    call.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_int]
    if call(vfs, command, ctypes.addressof(asked), len(head)) != 0:
        number = ctypes.get_errno()
        raise VolumeUnusable(f"the kernel does not tell what has moved (fscntl): {os.strerror(number)}")
    if asked.raw[len(head) :] != behind:
        raise VolumeUnusable("the kernel tells what has moved behind the head (fscntl), and not where it was asked to")
    head[:] = asked.raw[: len(head)]
    extents[:] = there.raw[: len(extents)]


def device_of(path: str) -> int:
    """The number of a device. Raises ``VolumeUnusable``."""
    return _stat(path).st_rdev & _WORD  # the highest bit of it says that it has 64: Python may show a sign


def inode_of(path: str) -> int:
    """The number of an inode. Raises ``VolumeUnusable``."""
    return _stat(path).st_ino & _WORD


def _stat(path: str) -> os.stat_result:
    try:
        return Path(path).stat()
    except OSError as error:
        raise VolumeUnusable(f"{os.strerror(error.errno or 0)}", subject=path) from error


def _libc(name: str) -> ctypes._NamedFuncPointer:
    for library in _LIBRARIES:
        with contextlib.suppress(OSError, AttributeError):
            return ctypes.CDLL(library, use_errno=True)[name]
    raise VolumeUnusable(f"this system has no {name}", next_step="it is one of AIX")


def _mounts(data: bytes, count: int) -> Iterator[tuple[int, str]]:
    """Number and place of each. Raises ``VolumeUnusable`` where the structures do not chain."""
    at = 0
    for _ in range(count):
        if at + _TEXTS + 8 * 4 > len(data):
            raise VolumeUnusable("what mntctl says is not understood")
        _, length, number = _VMOUNT.unpack_from(data, at)
        offset, size = struct.unpack_from("=hh", data, at + _TEXTS + 4 * _STUB)
        if length < _TEXTS + 32 or at + length > len(data) or not 0 < offset <= offset + size <= length:
            raise VolumeUnusable("what mntctl says is not understood")
        yield number, data[at + offset : at + offset + size].split(b"\0")[0].decode(errors="surrogateescape")
        at += length
