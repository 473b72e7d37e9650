"""The used blocks of a Btrfs file system, from its one device alone."""

from __future__ import annotations

import numpy as np

from holdstill.model.blockmap import BlockMap, WholeVolume
from holdstill.model.extents import Extents, union_of
from holdstill.model.windows import union
from holdstill.spi.reader import Reader
from holdstill_filesystems.btrfs.allocated import Allocated
from holdstill_filesystems.btrfs.chunkmap import ChunkMap
from holdstill_filesystems.btrfs.chunks import read_chunks
from holdstill_filesystems.btrfs.nodes import Nodes
from holdstill_filesystems.btrfs.superblock import Superblock
from holdstill_filesystems.tail import behind


def used_blocks(reader: Reader) -> BlockMap | WholeVolume:
    """The map of the Btrfs file system in ``reader``. Raises ``StructureFault`` where there is none."""
    superblock = Superblock.read(reader)
    chunks = read_chunks(reader, superblock)
    allocated = Allocated.found(superblock, chunks, Nodes(reader, superblock, chunks))
    notes: list[str] = []
    tail = behind(reader, superblock.size, notes)
    fixed = union_of((superblock.fixed(reader.size), _roots(superblock, chunks), tail))
    return BlockMap(superblock.sector_size, union(allocated.windows(), (fixed,)), tuple(notes))


def _roots(superblock: Superblock, chunks: ChunkMap) -> Extents:
    """The two blocks that the superblock leads to. The extent tree tells them too; without them all else is lost."""
    blocks = np.array([superblock.record["chunk_root"], superblock.record["root"]], dtype=np.uint64)
    places = chunks.copies(blocks)
    return Extents.from_arrays(places, np.full(places.size, superblock.node_size))
