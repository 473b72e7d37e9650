"""The system calls on mounts that Python does not offer. Each raises ``OSError``."""

from __future__ import annotations

import ctypes
import errno
import os
from typing import Final

_libc: Final = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p)
_libc.umount2.argtypes = (ctypes.c_char_p, ctypes.c_int)
_libc.syncfs.argtypes = (ctypes.c_int,)
_libc.syscall.restype = ctypes.c_long

# include/uapi/linux/mount.h
MS_RDONLY: Final = 1
MS_REMOUNT: Final = 32
MS_BIND: Final = 4096
MS_UNBINDABLE: Final = 1 << 17
MS_PRIVATE: Final = 1 << 18
MS_SLAVE: Final = 1 << 19
MS_SHARED: Final = 1 << 20
#: the flags of one mount, as mountinfo spells them
OF_MOUNT: Final = {
    "ro": MS_RDONLY,
    "nosuid": 2,
    "nodev": 4,
    "noexec": 8,
    "nosymfollow": 256,
    "noatime": 1024,
    "nodiratime": 2048,
    "relatime": 1 << 21,
}
_STRICTATIME: Final = 1 << 24
#: the flags of a file system that are no data for it (fs/proc_namespace.c, show_sb_opts)
OF_SUPER: Final = {"ro": MS_RDONLY, "sync": 16, "mand": 64, "dirsync": 128, "lazytime": 1 << 25}
UMOUNT_NOFOLLOW: Final = 8

# include/uapi/asm-generic/unistd.h; the same on every architecture but alpha
_FSCONFIG: Final = 431
_FSPICK: Final = 433
# include/uapi/linux/mount.h
_FSPICK_CLOEXEC: Final = 1
_FSPICK_NO_AUTOMOUNT: Final = 4
_FSPICK_EMPTY_PATH: Final = 8
_FSCONFIG_SET_FLAG: Final = 0
_FSCONFIG_CMD_RECONFIGURE: Final = 7


def mount(source: str | None, path: str, filesystem: str | None, flags: int, data: str = "") -> None:
    """Mount, bind, remount or change propagation: the one call that does all of it, by ``flags``."""
    _check(
        _libc.mount(
            None if source is None else os.fsencode(source),
            os.fsencode(path),
            None if filesystem is None else filesystem.encode(),
            flags,
            os.fsencode(data) or None,
        ),
        path,
    )


def unmount(path: str) -> None:
    """Unmount what is on top at ``path`` (umount2(2))."""
    _check(_libc.umount2(os.fsencode(path), UMOUNT_NOFOLLOW), path)


def sync(descriptor: int) -> None:
    """Of syncfs(2): what the file system of this descriptor has in memory is written."""
    _check(_libc.syncfs(descriptor))


def reconfigure(descriptor: int, *, read_only: bool) -> bool:
    """Make the *file system* mounted at an open path read-only or writable, and change nothing else of any mount.

    False where the kernel cannot (before 5.2). The descriptor must be of a mount's root.
    """
    context = _libc.syscall(
        _FSPICK, descriptor, ctypes.c_char_p(b""), _FSPICK_CLOEXEC | _FSPICK_NO_AUTOMOUNT | _FSPICK_EMPTY_PATH
    )
    if context < 0 and ctypes.get_errno() == errno.ENOSYS:
        return False
    _check(context)
    try:
        key = ctypes.c_char_p(b"ro" if read_only else b"rw")
        _check(_libc.syscall(_FSCONFIG, context, _FSCONFIG_SET_FLAG, key, None, 0))
        _check(_libc.syscall(_FSCONFIG, context, _FSCONFIG_CMD_RECONFIGURE, None, None, 0))
    finally:
        os.close(context)
    return True


def mount_flags(options: frozenset[str]) -> int:
    """A mount's own options, as mountinfo shows them, as flags. Without any word on access times they are strict."""
    flags = sum(flag for name, flag in OF_MOUNT.items() if name in options)
    return flags if options & {"noatime", "relatime"} else flags | _STRICTATIME


def _check(result: int, path: str | None = None) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
