"""The used blocks of an XFS, from its volume alone."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from holdstill.model.blockmap import BlockMap, WholeVolume
from holdstill.model.extents import Extents
from holdstill.spi.reader import Reader
from holdstill_filesystems.blocks import Blocks
from holdstill_filesystems.tail import behind
from holdstill_filesystems.xfs.freespace import used_in_groups
from holdstill_filesystems.xfs.settled import settled
from holdstill_filesystems.xfs.superblock import Superblock


def used_blocks(reader: Reader) -> BlockMap | WholeVolume:
    """The map of the XFS in ``reader``, or why there is none. Raises ``StructureFault``."""
    superblock = Superblock.read(reader)
    if not superblock.has_own_log:
        return WholeVolume("its log is on another device, so nobody can say here whether it was unmounted")
    notes: list[str] = []
    unmounted = settled(superblock, reader)
    if not unmounted:
        notes.append("the file system was frozen: its log holds nothing but the superblock")
    if superblock.record["rblocks"]:
        notes.append("its realtime files are on another device and not in this image")
    blocks = Blocks(reader, superblock.block_size, superblock.blocks)
    tail = behind(reader, superblock.size, notes)
    used = used_in_groups(superblock, blocks, unmounted=unmounted)
    return BlockMap(superblock.block_size, _with(used, tail), tuple(notes))


def _with(windows: Iterator[Extents], tail: Extents) -> Iterator[Extents]:
    return chain(windows, [tail] if tail else [])
