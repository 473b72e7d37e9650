"""Where the blocks of one inode lie: read for the journal only, whose blocks are few and never change place.

Source: Linux Documentation/filesystems/ext4/{inodes,ifork}.rst.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from holdstill.errors import StructureFault
from holdstill_filesystems.blocks import Blocks, Numbers
from holdstill_filesystems.crc import CRC32C
from holdstill_filesystems.ext.features import RoCompat
from holdstill_filesystems.ext.groups import inode_table
from holdstill_filesystems.ext.superblock import Superblock
from holdstill_filesystems.fields import Layout, Record

_EXTENTS_FLAG: Final = 0x80000
_EXTENT_MAGIC: Final = 0xF30A
#: how many block pointers name blocks of the file; three more name blocks of pointers
_DIRECT: Final = 12
#: a deeper tree than this is never made
_DEEPEST: Final = 5
#: an inode of more pieces than this is no journal
_MOST_PIECES: Final = 1 << 16

LAYOUT: Final = Layout(
    "inode",
    128,
    "<",
    "Linux Documentation/filesystems/ext4/inodes.rst",
    (
        ("mode", 0x0, "H"),
        ("size_lo", 0x4, "I"),
        ("links", 0x1A, "H"),
        ("flags", 0x20, "I"),
        ("block", 0x28, "60s"),
        ("generation", 0x64, "I"),
        ("size_high", 0x6C, "I"),
        ("checksum_lo", 0x7C, "H"),
    ),
)
_LARGE: Final = Layout(
    "inode",
    160,
    "<",
    LAYOUT.source,
    (*LAYOUT.fields, ("extra_size", 0x80, "H"), ("checksum_hi", 0x82, "H")),
)
_NODE: Final = Layout(
    "extent node",
    12,
    "<",
    "Linux Documentation/filesystems/ext4/ifork.rst",
    (("magic", 0, "H"), ("entries", 2, "H"), ("max", 4, "H"), ("depth", 6, "H")),
)


def places(superblock: Superblock, blocks: Blocks, number: int, most: int) -> Numbers:
    """The block numbers of inode ``number``, in the file's order; it must be a regular file without holes.

    Raises ``StructureFault``, also if it has more than ``most`` blocks.
    """
    inode, seed = _read(superblock, blocks, number)
    inode.require("links", inode["links"] > 0, "the inode is not in use")
    inode.require("mode", inode["mode"] >> 12 == 0x8, "not a regular file")
    count = (inode["size_high"] << 32 | inode["size_lo"]) // superblock.block_size
    inode.require("size_lo", 0 < count <= most, f"the inode should have 1 to {most} blocks")
    if inode["flags"] & _EXTENTS_FLAG:
        pieces = _Tree(superblock, blocks, seed, count).pieces(inode["block"], inode.offset)
        found = np.concatenate(pieces)
    else:
        found = _by_pointers(blocks, np.frombuffer(inode["block"], dtype="<u4").astype(np.int64), count)
    if found.size < count or found[:count].min() == 0:
        raise StructureFault(f"inode {number} has holes")
    return found[:count]


def _read(superblock: Superblock, blocks: Blocks, number: int) -> tuple[Record, int]:
    """The inode, and what the checksums of its blocks begin with."""
    group, index = divmod(number - 1, superblock.inodes_per_group)
    if not 0 <= group < superblock.groups:
        raise StructureFault(f"there is no inode {number}")
    block, within = divmod(index * superblock.inode_size, superblock.block_size)
    at = inode_table(superblock, blocks, group) + block
    data = blocks.read(at, 1, "inode").tobytes()[within : within + superblock.inode_size]
    layout = _LARGE if len(data) >= _LARGE.size else LAYOUT
    inode = layout.parse(data, at * superblock.block_size + within)
    if not superblock.has(RoCompat.METADATA_CSUM):
        return inode, 0
    seed = CRC32C.one(number.to_bytes(4, "little"), superblock.checksum_seed)
    seed = CRC32C.one(inode["generation"].to_bytes(4, "little"), seed)
    blanked = bytearray(data)
    stored, known = inode["checksum_lo"], 0xFFFF
    blanked[0x7C:0x7E] = bytes(2)
    if layout is _LARGE and inode["extra_size"] >= 4:
        stored, known = stored | inode["checksum_hi"] << 16, 0xFFFFFFFF
        blanked[0x82:0x84] = bytes(2)
    inode.require("checksum_lo", stored == CRC32C.one(bytes(blanked), seed) & known, "the checksum does not fit")
    return inode, seed


class _Tree:
    """The extent tree of one inode, walked in the file's order."""

    def __init__(self, superblock: Superblock, blocks: Blocks, seed: int, count: int) -> None:
        self._superblock = superblock
        self._blocks = blocks
        self._seed = seed
        self._count = count
        self._found: list[Numbers] = []
        self._next = 0

    def pieces(self, root: bytes, offset: int) -> list[Numbers]:
        """The block numbers that the tree under ``root`` (read from ``offset``) names, piece by piece."""
        node = _NODE.parse(root, offset)
        node.require("depth", node["depth"] <= _DEEPEST, f"no tree is deeper than {_DEEPEST}")
        self._walk(node, root)
        return self._found

    def _walk(self, node: Record, data: bytes) -> None:
        node.require("magic", node["magic"] == _EXTENT_MAGIC, "not a node of an extent tree")
        node.require("max", 12 + 12 * node["max"] <= len(data), "more than fits")
        node.require("entries", 0 < node["entries"] <= node["max"], "a node has 1 to max entries")
        entries = np.frombuffer(data, dtype="<u2", count=6 * node["entries"], offset=12).astype(np.int64).reshape(-1, 6)
        for entry in entries.tolist():
            if self._next >= self._count:
                return
            if node["depth"]:
                self._descend(node, entry[2] | entry[3] << 16 | entry[4] << 32)
            else:
                self._take(node, entry[0] | entry[1] << 16, entry[2], entry[4] | entry[5] << 16 | entry[3] << 32)

    def _descend(self, parent: Record, block: int) -> None:
        data = self._blocks.read(block, 1, "extent node").tobytes()
        node = _NODE.parse(data, block * self._superblock.block_size)
        node.require("depth", node["depth"] == parent["depth"] - 1, "not one less than its parent's")
        if self._superblock.has(RoCompat.METADATA_CSUM):
            tail = min(12 + 12 * node["max"], len(data) - 4)
            stored = int.from_bytes(data[tail : tail + 4], "little")
            node.require("max", stored == CRC32C.one(data[:tail], self._seed), "the checksum behind it does not fit")
        self._walk(node, data)

    def _take(self, node: Record, first: int, length: int, block: int) -> None:
        # a length past 32768 marks blocks that were never written
        node.require("entries", first == self._next and 0 < length <= 0x8000, "an extent leaves a hole")
        node.require("entries", block + length <= self._blocks.count, "an extent ends outside the file system")
        node.require("entries", len(self._found) < _MOST_PIECES, f"more than {_MOST_PIECES} extents")
        self._found.append(np.arange(block, block + length, dtype=np.int64))
        self._next += length


def _by_pointers(blocks: Blocks, pointers: Numbers, count: int) -> Numbers:
    """Follow 12 direct pointers and those through one, two and three blocks of pointers."""
    found = pointers[:_DIRECT]
    per_block = blocks.block_size // 4
    for level in (1, 2, 3):
        if found.size >= count:
            break
        row = pointers[_DIRECT + level - 1 : _DIRECT + level]
        for depth in range(level, 0, -1):
            row = row[: -(-(count - found.size) // per_block**depth)]
            if row.min() == 0:
                raise StructureFault("a block of pointers is missing")
            row = blocks.gather(row, "block of pointers").view("<u4").reshape(-1).astype(np.int64)
        found = np.concatenate((found, row))
    return found
