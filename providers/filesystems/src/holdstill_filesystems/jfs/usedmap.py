"""The used blocks of a JFS or a JFS2, from its volume alone."""

from __future__ import annotations

from collections.abc import Iterator

from holdstill.errors import StructureFault
from holdstill.model.blockmap import BlockMap
from holdstill.model.extents import Extents
from holdstill.spi.reader import Reader
from holdstill_filesystems.blocks import Blocks
from holdstill_filesystems.jfs.aix import JFS2, check_features
from holdstill_filesystems.jfs.allocation import AllocationMap
from holdstill_filesystems.jfs.superblock import INODE_TABLE, JFS, Superblock
from holdstill_filesystems.jfs.xtree import Pxd, Runs, read_runs
from holdstill_filesystems.tail import behind

#: the inode of the block map, in the aggregate's own fileset (jfs_filsys.h, j2_filsys.h)
_BLOCK_MAP, _AGGREGATE = 2, 1


def used_blocks(reader: Reader) -> BlockMap:
    """The map of the JFS in ``reader``. Raises ``StructureFault`` where there is none to be trusted."""
    superblock = Superblock.read(reader, JFS)
    notes = [] if superblock.log else ["its log lies on another device, which is no part of this volume"]
    return _map(reader, superblock, notes)


def used_blocks_of_jfs2(reader: Reader) -> BlockMap:
    """The map of the JFS2 in ``reader``. Raises ``StructureFault`` where there is none to be trusted.

    Whether the log was closed is not known: its layout is nowhere public. So it is never replayed after a restore.
    """
    superblock = Superblock.read(reader, JFS2)
    check_features(superblock.record)
    table = superblock.record["ait"]
    at = Pxd.of(table, JFS2.order).address * superblock.block_size
    superblock.record.require("ait", at == INODE_TABLE, "the table of inodes lies elsewhere")
    where = "is in the image" if superblock.log else "lies on another device, which is no part of this volume"
    notes = [
        f"its log {where}: format it after a restore, before the file system is mounted (logform); never replay it",
        "its block map was read as one that no public header describes; every page of it agreed with all others",
    ]
    return _map(reader, superblock, notes)


def _map(reader: Reader, superblock: Superblock, notes: list[str]) -> BlockMap:
    size, form = superblock.block_size, superblock.form
    blocks = Blocks(reader, size, superblock.blocks)
    runs = _runs_of_the_map(reader, superblock, blocks)
    allocation = AllocationMap(blocks, runs, superblock.blocks, form.control, form.bitmap, form.tree)
    allocation.check_control(superblock.record["agsize"])
    tail = behind(reader, superblock.end, notes)
    outside = Extents.of((superblock.blocks * size, superblock.end - superblock.blocks * size))
    must = superblock.fixed.union(runs.extents(size))
    return BlockMap(size, _in_a_row(allocation.used(must), outside, tail), tuple(notes))


def _runs_of_the_map(reader: Reader, superblock: Superblock, blocks: Blocks) -> Runs:
    """Where the block map lies; the copy of its inode has to say the same."""
    runs = _runs_of_inode(reader, INODE_TABLE, superblock, blocks)
    copy = superblock.secondary_inode_table
    if copy is not None:
        other = _runs_of_inode(reader, copy.address * superblock.block_size, superblock, blocks)
        if not runs.same(other):
            raise StructureFault("the inode of the block map and its copy do not say the same")
    return runs


def _runs_of_inode(reader: Reader, table: int, superblock: Superblock, blocks: Blocks) -> Runs:
    layout = superblock.form.inode
    inode = layout.read(reader, table + _BLOCK_MAP * layout.size)
    inode.require("number", inode["number"] == _BLOCK_MAP, f"not the inode {_BLOCK_MAP}")
    inode.require("fileset", inode["fileset"] == _AGGREGATE, "not an inode of the aggregate")
    inode.require("nlink", inode["nlink"] > 0, "the inode is not in use")
    inode.require("mode", inode["mode"] >> 12 & 0xF == 0x8, "not a file")
    runs = read_runs(blocks, inode["root"], inode.offset + layout.offset_of("root"), superblock.form.page)
    size = runs.blocks * superblock.block_size
    inode.require("size", inode["size"] == size, f"its tree has {runs.blocks} blocks")
    return runs


def _in_a_row(windows: Iterator[Extents], outside: Extents, tail: Extents) -> Iterator[Extents]:
    yield from windows
    yield outside.union(tail)
