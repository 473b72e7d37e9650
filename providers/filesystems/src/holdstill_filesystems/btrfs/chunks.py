"""All chunks of a file system, from the chunk tree, which lies in the few that the superblock tells."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from holdstill.errors import StructureFault
from holdstill.spi.reader import Reader
from holdstill_filesystems.btrfs.chunkmap import CHUNK_ITEM, DOUBLE, SINGLE, ChunkMap, system_chunks
from holdstill_filesystems.btrfs.nodes import Entries, Nodes
from holdstill_filesystems.btrfs.superblock import Superblock
from holdstill_filesystems.btrfs.trees import chunk_tree
from holdstill_filesystems.fields import Layout

#: more chunks than this (half a PiB of the usual GiB) are not kept in memory
_MOST: Final = 1 << 19
_DEVICE_ITEM: Final = 216
_DEVICE: Final = Layout(
    "device item",
    98,
    "<",
    "Linux include/uapi/linux/btrfs_tree.h, struct btrfs_dev_item",
    (("device_id", 0, "Q"), ("device_total_bytes", 8, "Q"), ("device_uuid", 66, "16s")),
)


def read_chunks(reader: Reader, superblock: Superblock) -> ChunkMap:
    """The map of all chunks. Raises ``StructureFault``, also where tree and superblock disagree."""
    system = system_chunks(superblock)
    nodes = Nodes(reader, superblock, system)
    logical: list[NDArray[np.uint64]] = []
    tables: list[NDArray[np.void]] = []
    count = devices = 0
    for batch in chunk_tree(superblock).leaves(nodes):
        kinds = batch.table["type"]
        if not np.isin(kinds, (CHUNK_ITEM, _DEVICE_ITEM)).all():
            raise StructureFault(f"the chunk tree holds something of the unknown type {kinds.max()}")
        devices += _check_devices(superblock, batch.only(kinds == _DEVICE_ITEM))
        chunks = batch.only(kinds == CHUNK_ITEM)
        count += chunks.table.size
        if count > _MOST:
            raise StructureFault(f"there are more than {_MOST} chunks")
        twofold = chunks.values(SINGLE)["num_stripes"] == 2
        for part, layout in ((chunks.only(~twofold), SINGLE), (chunks.only(twofold), DOUBLE)):
            logical.append(part.table["key_offset"])
            tables.append(part.values(layout))
    if devices != 1:
        raise StructureFault(f"the chunk tree knows {devices} devices instead of one")
    found = ChunkMap.checked(superblock, np.concatenate(logical), tables)
    if not found.includes(system):
        raise StructureFault("the superblock tells other system chunks than the chunk tree")
    return found


def _check_devices(superblock: Superblock, devices: Entries) -> int:
    """How many there are; each must be the one of the superblock."""
    for name in ("device_id", "device_total_bytes", "device_uuid"):
        if (devices.values(_DEVICE)[name] != superblock.record[name]).any():
            raise StructureFault(f"the chunk tree tells another {name} than the superblock")
    return int(devices.table.size)
