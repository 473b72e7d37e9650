"""What an ext file system may say it needs, and which of it this reader understands.

Source: Linux Documentation/filesystems/ext4/super.rst; bit names as ``dumpe2fs`` prints them.
"""

from __future__ import annotations

import enum
from typing import Final


class Compat(enum.IntFlag):
    """Features that a reader may ignore; only those that say where something lies."""

    HAS_JOURNAL = 0x4
    SPARSE_SUPER2 = 0x200


class Incompat(enum.IntFlag):
    """Features without which nothing may be read."""

    FILETYPE = 0x2
    NEEDS_RECOVERY = 0x4
    JOURNAL_DEV = 0x8
    META_BG = 0x10
    EXTENTS = 0x40
    BITS64 = 0x80
    MMP = 0x100
    FLEX_BG = 0x200
    EA_INODE = 0x400
    DIRDATA = 0x1000
    CSUM_SEED = 0x2000
    LARGE_DIR = 0x4000
    INLINE_DATA = 0x8000
    ENCRYPT = 0x10000
    CASEFOLD = 0x20000


class RoCompat(enum.IntFlag):
    """Features without which nothing may be changed. A bitmap may hide behind one, so all must be known too."""

    SPARSE_SUPER = 0x1
    LARGE_FILE = 0x2
    BTREE_DIR = 0x4
    HUGE_FILE = 0x8
    GDT_CSUM = 0x10
    DIR_NLINK = 0x20
    EXTRA_ISIZE = 0x40
    QUOTA = 0x100
    BIGALLOC = 0x200
    METADATA_CSUM = 0x400
    READ_ONLY = 0x1000
    PROJECT = 0x2000
    SHARED_BLOCKS = 0x4000
    VERITY = 0x8000
    ORPHAN_PRESENT = 0x10000


#: known by name, and not read: a journal device has no bitmaps; compression, snapshots and replicas were never in Linux
_REFUSED: Final = {
    ("incompat", 0x1): "compression",
    ("incompat", 0x8): "journal_dev",
    ("ro_compat", 0x80): "has_snapshot",
    ("ro_compat", 0x800): "replica",
}
_READ: Final = {
    "incompat": sum(Incompat) & ~Incompat.JOURNAL_DEV,
    "ro_compat": int(sum(RoCompat)),
}


def not_understood(incompat: int, ro_compat: int) -> str | None:
    """Why a file system with these features is not read (a sentence), or None."""
    names = [
        _REFUSED.get((word, 1 << bit), f"{word} bit 0x{1 << bit:x}")
        for word, value in (("incompat", incompat), ("ro_compat", ro_compat))
        for bit in range(32)
        if value >> bit & 1 and not _READ[word] >> bit & 1
    ]
    return f"it has features that this reader does not know: {', '.join(names)}" if names else None
