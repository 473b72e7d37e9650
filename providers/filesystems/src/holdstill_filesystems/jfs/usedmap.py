"""The used blocks of a JFS, from its volume alone."""

from __future__ import annotations

from collections.abc import Iterator

from holdstill.errors import StructureFault
from holdstill.model.blockmap import BlockMap
from holdstill.model.extents import Extents
from holdstill.spi.reader import Reader
from holdstill_filesystems.blocks import Blocks
from holdstill_filesystems.jfs.allocation import AllocationMap
from holdstill_filesystems.jfs.superblock import BLOCK, INODE_TABLE, Superblock
from holdstill_filesystems.jfs.xtree import INODE, Runs, read_runs
from holdstill_filesystems.tail import behind

#: the inode of the block map, in the aggregate's own fileset (jfs_filsys.h)
_BLOCK_MAP, _AGGREGATE = 2, 1


def used_blocks(reader: Reader) -> BlockMap:
    """The map of the JFS in ``reader``. Raises ``StructureFault`` where there is none to be trusted."""
    superblock = Superblock.read(reader)
    blocks = Blocks(reader, BLOCK, superblock.blocks)
    runs = _runs_of_the_map(reader, superblock, blocks)
    allocation = AllocationMap(blocks, runs, superblock.blocks)
    allocation.check_control(superblock.record["agsize"])
    notes = [] if superblock.log else ["its log lies on another device, which is no part of this volume"]
    tail = behind(reader, superblock.end, notes)
    outside = Extents.of((superblock.blocks * BLOCK, superblock.end - superblock.blocks * BLOCK))
    must = superblock.fixed.union(runs.extents(BLOCK))
    return BlockMap(BLOCK, _in_a_row(allocation.used(must), outside, tail), tuple(notes))


def _runs_of_the_map(reader: Reader, superblock: Superblock, blocks: Blocks) -> Runs:
    """Where the block map lies; the copy of its inode has to say the same."""
    runs = _runs_of_inode(reader, INODE_TABLE, blocks)
    copy = superblock.secondary_inode_table
    if copy is not None and not runs.same(_runs_of_inode(reader, copy.address * BLOCK, blocks)):
        raise StructureFault("the inode of the block map and its copy do not say the same")
    return runs


def _runs_of_inode(reader: Reader, table: int, blocks: Blocks) -> Runs:
    inode = INODE.read(reader, table + _BLOCK_MAP * INODE.size)
    inode.require("number", inode["number"] == _BLOCK_MAP, f"not the inode {_BLOCK_MAP}")
    inode.require("fileset", inode["fileset"] == _AGGREGATE, "not an inode of the aggregate")
    inode.require("nlink", inode["nlink"] > 0, "the inode is not in use")
    inode.require("mode", inode["mode"] >> 12 & 0xF == 0x8, "not a file")
    runs = read_runs(blocks, inode["root"], inode.offset + INODE.offset_of("root"))
    inode.require("size", inode["size"] == runs.blocks * BLOCK, f"its tree has {runs.blocks} blocks")
    return runs


def _in_a_row(windows: Iterator[Extents], outside: Extents, tail: Extents) -> Iterator[Extents]:
    yield from windows
    yield outside.union(tail)
