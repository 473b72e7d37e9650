"""What a Btrfs file system may say it needs, and which of it this reader understands.

Source: Linux include/uapi/linux/btrfs.h (6.12); names as ``/sys/fs/btrfs/features`` and btrfs-progs spell them.
"""

from __future__ import annotations

import enum
from typing import Final


class Incompat(enum.IntFlag):
    """Features without which nothing may be read."""

    MIXED_BACKREF = 1 << 0
    DEFAULT_SUBVOL = 1 << 1
    MIXED_GROUPS = 1 << 2
    COMPRESS_LZO = 1 << 3
    COMPRESS_ZSTD = 1 << 4
    BIG_METADATA = 1 << 5
    EXTENDED_IREF = 1 << 6
    RAID56 = 1 << 7
    SKINNY_METADATA = 1 << 8
    NO_HOLES = 1 << 9
    METADATA_UUID = 1 << 10
    RAID1C34 = 1 << 11
    SIMPLE_QUOTA = 1 << 16


class RoCompat(enum.IntFlag):
    """Features without which nothing may be changed."""

    FREE_SPACE_TREE = 1 << 0
    FREE_SPACE_TREE_VALID = 1 << 1
    VERITY = 1 << 2
    BLOCK_GROUP_TREE = 1 << 3


#: known by name, and not read: with these what is allocated, or where it lies, is told in another way
_REFUSED: Final = {
    ("incompat", 1 << 12): "zoned",
    ("incompat", 1 << 13): "extent-tree-v2",
    ("incompat", 1 << 14): "raid-stripe-tree",
    ("incompat", 1 << 17): "remap-tree",
}
_READ: Final = {"incompat": int(sum(Incompat)), "compat_ro": int(sum(RoCompat))}

#: bits of the superblock's own flags that change nothing: it was written, and blocks may have been moved once
_HARMLESS: Final = 1 << 0 | 1 << 1
_STATES: Final = {
    1 << 2: "it is marked as having errors",
    1 << 32: "it is a seed, which other devices build upon",
    1 << 33: "it is a dump of metadata, not a file system",
    1 << 34: "it is a dump of metadata, not a file system",
    1 << 35: "a change of its UUID was not finished",
    1 << 36: "a change of its UUID was not finished",
    1 << 38: "a conversion of its block groups was not finished",
    1 << 39: "a change of its data checksums was not finished",
    1 << 40: "a change of its metadata checksums was not finished",
}


def not_understood(incompat: int, compat_ro: int) -> str | None:
    """Why a file system with these features is not read (a sentence), or None."""
    names = [
        _REFUSED.get((word, 1 << bit), f"{word} bit 0x{1 << bit:x}")
        for word, value in (("incompat", incompat), ("compat_ro", compat_ro))
        for bit in range(64)
        if value >> bit & 1 and not _READ[word] >> bit & 1
    ]
    return f"it has features that this reader does not know: {', '.join(names)}" if names else None


def distrust(flags: int) -> str | None:
    """Why a superblock with these flags is not to be believed (a sentence), or None."""
    for bit in range(64):
        if flags >> bit & 1 and not _HARMLESS >> bit & 1:
            return _STATES.get(1 << bit, f"superblock flag 0x{1 << bit:x} is set")
    return None
