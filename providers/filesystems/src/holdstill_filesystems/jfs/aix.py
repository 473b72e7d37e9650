"""The JFS2 of AIX: big-endian, with a superblock and inodes of its own.

Sources: the headers that AIX ships, j2/j2_superblock.h, j2_dinode.h, j2_xtree.h, j2_filsys.h. How the pages of the
block map are laid out no public header says. They are taken to be those of Linux in the other byte order, for the
geometry is the same (j2_snapshot.h: 8192 blocks to a page of the map); each page has to prove it, as ``allocation``
says, or the whole volume is taken.
"""

from __future__ import annotations

from typing import Final

import attrs

from holdstill_filesystems.fields import Layout, Record
from holdstill_filesystems.jfs import allocation, superblock, xtree
from holdstill_filesystems.jfs.format import Format

#: features that lie beside the block map: attributes in a newer form, DMAPI, 64-bit inode numbers (j2_superblock.h)
_COMPATIBLE: Final = 1
_READ_ONLY_COMPATIBLE: Final = 1
_INCOMPATIBLE: Final = 1 | 2 | 4

LAYOUT: Final = Layout(
    "superblock",
    256,
    ">",
    "AIX j2/j2_superblock.h",
    (
        ("magic", 0, "4s"),
        ("version", 4, "I"),
        ("size", 56, "Q"),
        ("bsize", 64, "I"),
        ("l2bsize", 68, "I"),
        ("pbsize", 72, "I"),
        ("l2pbsize", 76, "I"),
        ("l2bfactor", 80, "I"),
        ("agsize", 84, "I"),
        ("flag", 88, "I"),
        ("state", 92, "I"),
        ("ait", 96, "2I"),
        ("ait2", 104, "2I"),
        ("logpxd", 136, "2I"),
        ("fsckpxd", 144, "2I"),
        ("compatible", 192, "Q"),
        ("read_only_compatible", 200, "Q"),
        ("incompatible", 208, "Q"),
        ("feature_lock", 220, "36s"),
    ),
)
INODE: Final = Layout(
    "inode",
    512,
    ">",
    "AIX j2/j2_dinode.h",
    (
        ("number", 0, "Q"),
        ("fileset", 12, "I"),
        ("size", 32, "q"),
        ("nlink", 56, "I"),
        ("mode", 60, "I"),
        ("root", 224, "288s"),
    ),
)

JFS2: Final = Format(
    magic=b"J2FS",
    block_sizes=(512, 1024, 2048, 4096),
    superblock=LAYOUT,
    copied=("magic", "bsize", "l2bsize", "pbsize", "l2pbsize", "agsize", "ait", "ait2"),
    copies=("ait2",),
    inode=INODE,
    page=attrs.evolve(xtree.PAGE, order=">"),
    control=attrs.evolve(allocation.CONTROL, order=">"),
    bitmap=attrs.evolve(allocation.BITMAP, order=">"),
    tree=attrs.evolve(allocation.TREE, order=">"),
    # made by AIX, with snapshots, a log inside, a bad copy of the inode table; how it commits (as Linux has it)
    known_flags=0x80000000 | 0x10000000 | 0x10000 | 0xF00,
    # clean; quiesced, with files that were deleted and are still open, or without: a freeze or a snapshot leaves that
    orderly=frozenset({0, 0x1000, 0x2000, 0x3000}),
    states={**superblock.STATES, 0x20: "it was being made smaller", 0x40: "its log failed", 0x80: "its log failed"},
    log=None,
)


def check_features(record: Record) -> None:
    """Raise ``StructureFault`` for a feature that may change how blocks are allocated, or that is at work."""
    if record["version"] < 2:
        return
    for name, known in (
        ("compatible", _COMPATIBLE),
        ("read_only_compatible", _READ_ONLY_COMPATIBLE),
        ("incompatible", _INCOMPATIBLE),
    ):
        unknown = record[name] & ~known
        record.require(name, not unknown, f"feature 0x{unknown:x} is not known")
    record.require("feature_lock", not record["feature_lock"].strip(b"\0"), "a rollback is at work, or broke off")
