"""What an XFS may say it needs, and which of it this reader understands.

Source: Linux fs/xfs/libxfs/xfs_format.h, XFS_SB_VERSION_*, XFS_SB_VERSION2_* and XFS_SB_FEAT_*.
"""

from __future__ import annotations

import enum
from typing import Final


class Version(enum.IntFlag):
    """Bits of ``versionnum`` above the number: what version 4 has."""

    LOGV2 = 0x400
    SECTOR = 0x800
    DIRV2 = 0x2000
    MOREBITS = 0x8000


class Features2(enum.IntFlag):
    """Bits of ``features2``, which version 4 has where ``MOREBITS`` is set."""

    LAZYSBCOUNT = 0x2
    ATTR2 = 0x8
    PROJID32 = 0x80
    FTYPE = 0x200


class RoCompat(enum.IntFlag):
    """Features of version 5 without which nothing may be changed; a map of free space might hide behind one."""

    FINOBT = 0x1
    RMAPBT = 0x2
    REFLINK = 0x4
    INOBTCOUNT = 0x8


class Incompat(enum.IntFlag):
    """Features of version 5 without which nothing may be read."""

    FTYPE = 0x1
    SPARSE_INODES = 0x2
    META_UUID = 0x4
    BIGTIME = 0x8
    NREXT64 = 0x20
    EXCHANGE = 0x40
    PARENT = 0x80


class LogIncompat(enum.IntFlag):
    """Features of version 5 without which the log may not be replayed."""

    XATTRS = 0x1


#: known by name, and not read
_REFUSED: Final = {
    ("incompat", 0x10): "needsrepair (xfs_repair must run first)",
    ("incompat", 0x100): "metadir",
    ("incompat", 0x200): "zoned",
    ("incompat", 0x400): "zone gaps",
    ("versionnum", 0x200): "shared",
    ("features2", 0x10): "parent pointers of IRIX",
}
_READ: Final = {
    "versionnum": 0xFDFF,
    "features2": int(sum(Features2)),
    "ro_compat": int(sum(RoCompat)),
    "incompat": int(sum(Incompat)),
    "log_incompat": int(sum(LogIncompat)),
}


def not_understood(**words: int) -> str | None:
    """Why a file system with these feature words, by their names, is not read (a sentence), or None."""
    names = [
        _REFUSED.get((word, 1 << bit), f"{word} bit 0x{1 << bit:x}")
        for word, value in words.items()
        for bit in range(32)
        if value >> bit & 1 and not _READ[word] >> bit & 1
    ]
    return f"it has features that this reader does not know: {', '.join(names)}" if names else None
