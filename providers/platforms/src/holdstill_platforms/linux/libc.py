"""The few system calls that Python does not offer. Each raises ``OSError``."""

from __future__ import annotations

import ctypes
import os
import struct
from typing import Final

_libc: Final = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
_libc.umount2.argtypes = (ctypes.c_char_p, ctypes.c_int)
_libc.syscall.restype = ctypes.c_long
_libc.statx.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint, ctypes.c_void_p)

# include/uapi/linux/falloc.h
FALLOC_FL_KEEP_SIZE: Final = 0x01
FALLOC_FL_PUNCH_HOLE: Final = 0x02
# include/linux/fs.h
UMOUNT_NOFOLLOW: Final = 0x08
# include/uapi/linux/stat.h, fcntl.h: struct statx is 256 bytes, stx_mask at 0, stx_dio_mem_align and
# stx_dio_offset_align at 0x98 and 0x9C
AT_EMPTY_PATH: Final = 0x1000
# the same number on every architecture (asm-generic/unistd.h)
SYS_CACHESTAT: Final = 451
STATX_DIOALIGN: Final = 0x2000


def punch_hole(fd: int, offset: int, length: int) -> None:
    """Free a range, which then reads as zeros. On a block device the kernel does this only where it is guaranteed.

    For a block device see blkdev_fallocate (block/fops.c): BLKDEV_ZERO_NOFALLBACK, or EOPNOTSUPP.
    """
    if _libc.fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length):
        _fail()


def unmount(path: str) -> None:
    """Unmount what is mounted on top at ``path``."""
    if _libc.umount2(os.fsencode(path), UMOUNT_NOFOLLOW):
        _fail(path)


def direct_alignment(fd: int) -> int | None:
    """By how many bytes offset, length and memory must be aligned for O_DIRECT on the open file.

    0: not possible at all. None: neither the kernel (before 6.1) nor the file system says.
    """
    answer = ctypes.create_string_buffer(256)
    if _libc.statx(fd, b"", AT_EMPTY_PATH, STATX_DIOALIGN, answer):
        return None
    mask = struct.unpack_from("=I", answer, 0)[0]
    if not mask & STATX_DIOALIGN:
        return None
    memory, offset = struct.unpack_from("=II", answer, 0x98)
    return max(memory, offset) if memory and offset else 0


def cached_pages(fd: int, offset: int, length: int) -> int:
    """How many pages of a file's range are in the page cache (cachestat(2), Linux 6.5: include/uapi/linux/mman.h)."""
    span, answer = struct.pack("=QQ", offset, length), ctypes.create_string_buffer(40)
    if _libc.syscall(SYS_CACHESTAT, fd, span, answer, 0):
        _fail()
    return int(struct.unpack_from("=Q", answer)[0])


def _fail(path: str | None = None) -> None:
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number), path)
