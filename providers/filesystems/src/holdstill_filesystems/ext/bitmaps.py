"""Block bitmaps: one bit for each cluster, read for a window of groups at once.

Source: Linux Documentation/filesystems/ext4/{bitmaps,bigalloc,checksums}.rst.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from holdstill.errors import StructureFault
from holdstill.model.extents import Extents
from holdstill_filesystems.bits import from_packed
from holdstill_filesystems.blocks import Blocks, Numbers
from holdstill_filesystems.crc import CRC32C
from holdstill_filesystems.ext.features import RoCompat
from holdstill_filesystems.ext.groups import LAYOUT, Groups
from holdstill_filesystems.ext.superblock import Superblock

#: how many bits make a window; at most half as many runs can come of them
_WINDOW: Final = 1 << 21
#: how many bits are set in each byte
_ONES: Final = np.unpackbits(np.arange(256, dtype=np.uint8)[:, np.newaxis], axis=1).sum(axis=1)


def used_in_groups(superblock: Superblock, blocks: Blocks, groups: Groups, must: Extents) -> Iterator[Extents]:
    """What is in use from group 0 on, in bytes, window by window. ``must`` is in use whatever a bitmap says.

    Raises ``StructureFault`` for a bitmap that does not fit its checksum, the number of free clusters, or ``must``.
    """
    width = max(1, _WINDOW // superblock.clusters_per_group)
    group_size = superblock.blocks_per_group * superblock.block_size
    for first in range(0, superblock.groups, width):
        numbers = np.arange(first, min(first + width, superblock.groups))
        start = superblock.first_data_block * superblock.block_size + first * group_size
        end = min(start + numbers.size * group_size, superblock.size)
        must_here = must.clip(start, end)
        used = must_here.align(superblock.cluster_size, end)
        unwritten = groups.unwritten[numbers]
        if not unwritten.all():
            packed = np.zeros((numbers.size, superblock.clusters_per_group // 8), dtype=np.uint8)
            packed[~unwritten] = _written(superblock, blocks, groups, numbers[~unwritten])
            marked = from_packed(packed.reshape(-1), superblock.cluster_size, start).clip(start, end)
            _check_marked(marked.union(Extents.from_bitmap(unwritten, group_size, start)), must_here)
            used = used.union(marked)
        yield used


def _written(superblock: Superblock, blocks: Blocks, groups: Groups, numbers: Numbers) -> NDArray[np.uint8]:
    """The bitmaps of these groups, checked, without what lies past the end of the file system."""
    per_group = superblock.clusters_per_group
    packed = blocks.gather(groups.bitmap[numbers], "block bitmap")[:, : per_group // 8]
    if superblock.has(RoCompat.METADATA_CSUM):
        known = 0xFFFFFFFF if superblock.descriptor_size >= LAYOUT.offset_of("block_bitmap_csum_hi") + 2 else 0xFFFF
        computed = CRC32C.many(packed, superblock.checksum_seed) & known
        wrong = np.flatnonzero(computed != groups.checksum[numbers])
        if wrong.size:
            raise StructureFault(f"the block bitmap of group {int(numbers[wrong[0]])} does not fit its checksum")
    in_group = np.full(numbers.size, per_group)
    if numbers[-1] == superblock.groups - 1:
        in_group[-1] = superblock.clusters_in_last_group
        packed[-1] &= np.packbits(np.arange(per_group) < in_group[-1], bitorder="little")
    free = in_group - _ONES[packed].sum(axis=1)
    wrong = np.flatnonzero(free != groups.free[numbers])
    if wrong.size:
        number = int(numbers[wrong[0]])
        raise StructureFault(
            f"the block bitmap of group {number} shows {free[wrong[0]]} free clusters, "
            f"its descriptor says {groups.free[number]}"
        )
    return packed


def _check_marked(known: Extents, must: Extents) -> None:
    unmarked = must.difference(known)
    if unmarked:
        raise StructureFault(f"a block bitmap shows metadata at byte {int(unmarked.starts[0])} as free")
