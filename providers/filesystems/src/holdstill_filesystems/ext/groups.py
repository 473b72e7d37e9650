"""Block groups: where their descriptors lie, what these say, and what of each group is used from the start.

Source: Linux Documentation/filesystems/ext4/{blockgroup,group_descr,checksums}.rst.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import attrs
import numpy as np
from numpy.typing import NDArray

from holdstill.errors import StructureFault
from holdstill.model.extents import Extents, union_of
from holdstill_filesystems.blocks import Blocks, Numbers, Rows
from holdstill_filesystems.crc import CRC16, CRC32C
from holdstill_filesystems.ext.features import Compat, Incompat, RoCompat
from holdstill_filesystems.ext.superblock import Superblock
from holdstill_filesystems.fields import Layout

BLOCK_UNINIT: Final = 2
#: how many bytes of descriptors are looked at together
_BATCH: Final = 1 << 20
#: more separate runs of group metadata than this are not kept in memory
_MOST_RUNS: Final = 1 << 21

LAYOUT: Final = Layout(
    "group descriptor",
    32,
    "<",
    "Linux Documentation/filesystems/ext4/group_descr.rst",
    (
        ("block_bitmap_lo", 0x0, "I"),
        ("inode_bitmap_lo", 0x4, "I"),
        ("inode_table_lo", 0x8, "I"),
        ("free_clusters_lo", 0xC, "H"),
        ("flags", 0x12, "H"),
        ("block_bitmap_csum_lo", 0x18, "H"),
        ("checksum", 0x1E, "H"),
        ("block_bitmap_hi", 0x20, "I"),
        ("inode_bitmap_hi", 0x24, "I"),
        ("inode_table_hi", 0x28, "I"),
        ("free_clusters_hi", 0x2C, "H"),
        ("block_bitmap_csum_hi", 0x38, "H"),
    ),
)
_CHECKSUM_AT: Final = LAYOUT.offset_of("checksum")


@attrs.frozen(eq=False)
class Groups:
    """What all group descriptors say, one array element for each group."""

    bitmap: Numbers
    """The block that holds the block bitmap."""
    free: NDArray[np.uint32]
    """How many clusters are free."""
    unwritten: NDArray[np.bool_]
    """The bitmap was never written: nothing but the group's metadata is used."""
    checksum: NDArray[np.uint32]
    """The bitmap's checksum, its upper half 0 in short descriptors."""
    metadata: Extents
    """Bitmaps and inode tables of all groups, in bytes."""


def read_groups(superblock: Superblock, blocks: Blocks) -> Groups:
    """Read and check all descriptors. Raises ``StructureFault`` for the first that cannot be true."""
    count = superblock.groups
    bitmap = np.empty(count, dtype=np.int64)
    free = np.empty(count, dtype=np.uint32)
    unwritten = np.empty(count, dtype=np.bool_)
    checksum = np.empty(count, dtype=np.uint32)
    metadata = Extents.none()
    parts: list[Extents] = []
    for first, rows in _batches(superblock, blocks):
        _check_checksums(superblock, first, rows)
        table = rows.view(LAYOUT.columns(superblock.descriptor_size)).reshape(-1)
        here = slice(first, first + table.size)
        bitmap[here] = _wide(table, "block_bitmap")
        free[here] = _wide(table, "free_clusters", bits=16)
        checksum[here] = _wide(table, "block_bitmap_csum", bits=16)
        unwritten[here] = (table["flags"] & BLOCK_UNINIT != 0) & superblock.checks_groups
        parts.append(_metadata(superblock, first, table))
        if len(parts) == 64:
            metadata, parts = _joined([metadata, *parts]), []
    metadata = _joined([metadata, *parts])
    expected = count * (2 + superblock.table_blocks) * superblock.block_size
    if metadata.total != expected:
        raise StructureFault(f"bitmaps and inode tables overlap: {metadata.total} bytes instead of {expected}")
    if unwritten[0]:
        raise StructureFault("group 0 claims that its block bitmap was never written")
    return Groups(bitmap, free, unwritten, checksum, metadata)


def inode_table(superblock: Superblock, blocks: Blocks, group: int) -> int:
    """The block that the inode table of one group begins at. Raises ``StructureFault``."""
    index, within = divmod(group, superblock.descriptors_per_block)
    rows = _descriptors(superblock, blocks, index, index + 1)
    _check_checksums(superblock, group - within, rows)
    table = rows.view(LAYOUT.columns(superblock.descriptor_size)).reshape(-1)
    return int(_wide(table, "inode_table")[within])


def _batches(superblock: Superblock, blocks: Blocks) -> Iterator[tuple[int, Rows]]:
    """All descriptors: the first one's group, and one row of ``descriptor_size`` bytes each."""
    batch = max(1, _BATCH // superblock.block_size)
    for at in range(0, superblock.descriptor_blocks, batch):
        first = at * superblock.descriptors_per_block
        yield first, _descriptors(superblock, blocks, at, min(at + batch, superblock.descriptor_blocks))


def _descriptors(superblock: Superblock, blocks: Blocks, index: int, past: int) -> Rows:
    """The descriptors in these descriptor blocks, without those of groups that do not exist."""
    per_block, size = superblock.descriptors_per_block, superblock.descriptor_size
    rows = blocks.gather(descriptor_blocks(superblock, np.arange(index, past)), "group descriptors")
    return rows[:, : per_block * size].reshape(-1, size)[: superblock.groups - index * per_block]


def descriptor_blocks(superblock: Superblock, indices: Numbers) -> Numbers:
    """Where the descriptor blocks of these indices lie."""
    in_a_row = 1024 // superblock.block_size + 1 + indices
    with_group = _after_superblock(superblock, indices * superblock.descriptors_per_block)
    return np.where(indices < superblock.first_meta_group, in_a_row, with_group)


def first_blocks(superblock: Superblock, groups: Numbers) -> Numbers:
    """The block that each of these groups begins with."""
    return superblock.first_data_block + groups * superblock.blocks_per_group


def groups_with_superblock(superblock: Superblock) -> Numbers:
    """The groups that begin with a superblock or a copy of it."""
    count = superblock.groups
    if superblock.has(Compat.SPARSE_SUPER2):
        chosen = {0, *superblock.record["backup_bgs"]}
    elif superblock.has(RoCompat.SPARSE_SUPER):
        chosen = {0} | {base**power for base in (3, 5, 7) for power in range(24)}
    else:
        return np.arange(count)
    return np.array(sorted(group for group in chosen if group < count), dtype=np.int64)


def reserved(superblock: Superblock) -> Extents:
    """All copies of the superblock and of the descriptors, the room these may grow into, and the boot block."""
    holders = groups_with_superblock(superblock)
    per_block, meta = superblock.descriptors_per_block, superblock.first_meta_group
    with_room = meta + int(superblock.record["reserved_gdt_blocks"]) if meta else 0
    length = np.where(holders < meta * per_block, 1 + with_room, 1)
    primary = 1024 // superblock.block_size + 1 + with_room
    starts = np.arange(meta, superblock.descriptor_blocks) * per_block
    own = np.concatenate((starts, starts + 1, starts + per_block - 1))
    own = own[own < superblock.groups]
    return union_of(
        (
            Extents.of((0, primary * superblock.block_size)),
            _runs(superblock, first_blocks(superblock, holders), length),
            _runs(superblock, _after_superblock(superblock, own), np.ones(own.size, dtype=np.int64)),
        )
    )


def _after_superblock(superblock: Superblock, groups: Numbers) -> Numbers:
    """The block of each group that follows its copy of the superblock, if it has one."""
    places: Numbers = first_blocks(superblock, groups) + np.isin(groups, groups_with_superblock(superblock))
    if superblock.block_size == 1024 and superblock.first_data_block == 0:
        places += groups == 0  # the boot block comes first
    return places


def _runs(superblock: Superblock, first: Numbers, length: Numbers) -> Extents:
    return Extents.from_arrays(first * superblock.block_size, length * superblock.block_size)


def _wide(table: NDArray[np.void], field: str, bits: int = 32) -> Numbers:
    """A field of which long descriptors hold an upper half."""
    value: Numbers = table[f"{field}_lo"].astype(np.int64)
    if f"{field}_hi" in (table.dtype.names or ()):
        value |= table[f"{field}_hi"].astype(np.int64) << bits
    return value


def _check_checksums(superblock: Superblock, first: int, rows: Rows) -> None:
    if not superblock.checks_groups:
        return
    numbers = np.arange(first, first + rows.shape[0], dtype="<u4").view(np.uint8).reshape(-1, 4)
    before, after = rows[:, :_CHECKSUM_AT], rows[:, _CHECKSUM_AT + 2 :]
    if superblock.has(RoCompat.METADATA_CSUM):
        nothing = np.zeros((rows.shape[0], 2), dtype=np.uint8)
        messages = np.concatenate((numbers, before, nothing, after), axis=1)
        computed = CRC32C.many(messages, superblock.checksum_seed)
    else:
        messages = np.concatenate((numbers, before, after), axis=1)
        computed = CRC16.many(messages, superblock.checksum16_seed)
    stored = rows[:, _CHECKSUM_AT : _CHECKSUM_AT + 2].copy().view("<u2").reshape(-1)
    wrong = np.flatnonzero(stored != computed & 0xFFFF)
    if wrong.size:
        raise StructureFault(f"the descriptor of group {first + int(wrong[0])} does not fit its checksum")


def _metadata(superblock: Superblock, first: int, table: NDArray[np.void]) -> Extents:
    """Where these groups' bitmaps and inode tables are; raises ``StructureFault`` for a place that cannot be."""
    groups = np.arange(first, first + table.size)
    flexible = superblock.has(Incompat.FLEX_BG)
    low = np.full(table.size, superblock.first_data_block) if flexible else first_blocks(superblock, groups)
    high = np.minimum(low + superblock.blocks_per_group, superblock.blocks)
    high = np.full(table.size, superblock.blocks) if flexible else high
    parts = []
    for field, length in (("block_bitmap", 1), ("inode_bitmap", 1), ("inode_table", superblock.table_blocks)):
        at = _wide(table, field)
        wrong = np.flatnonzero((at < low) | (at > high - length))
        if wrong.size:
            place = int(at[wrong[0]])
            raise StructureFault(f"the {field} of group {first + int(wrong[0])} cannot lie at block {place}")
        parts.append(_runs(superblock, at, np.full(at.size, length)))
    return union_of(parts)


def _joined(parts: list[Extents]) -> Extents:
    whole = union_of(parts)
    if len(whole) > _MOST_RUNS:
        raise StructureFault(f"group metadata is scattered over more than {_MOST_RUNS} places")
    return whole
