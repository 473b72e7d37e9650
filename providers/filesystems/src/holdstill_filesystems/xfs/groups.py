"""Allocation groups: their headers in the first sectors, and where these say that free space is told.

A group begins with a copy of the superblock, and the headers of free space (AGF), of inodes (AGI), and of the list of
blocks that are kept for the trees (AGFL), one sector each.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

import attrs
import numpy as np
from numpy.typing import NDArray

from holdstill.errors import StructureFault
from holdstill_filesystems.blocks import Blocks, Numbers, Rows
from holdstill_filesystems.fields import Layout
from holdstill_filesystems.xfs.features import RoCompat
from holdstill_filesystems.xfs.sealed import unsealed
from holdstill_filesystems.xfs.superblock import Superblock

#: how many groups, and how many bytes of headers, are looked at together
_BATCH, _BATCH_BYTES = 1024, 4 << 20
#: how many blocks of trees the groups of a batch may have together, unless it is only one
_BATCH_TREES: Final = 1 << 18
#: a tree is never higher (XFS_BTREE_MAXLEVELS)
_HIGHEST: Final = 9
_FORMAT: Final = "Linux fs/xfs/libxfs/xfs_format.h, "

AGF: Final = Layout(
    "AGF",
    224,
    ">",
    _FORMAT + "struct xfs_agf",
    (
        ("magic", 0, "I"),
        ("version", 4, "I"),
        ("seqno", 8, "I"),
        ("length", 12, "I"),
        ("bno_root", 16, "I"),
        ("cnt_root", 20, "I"),
        ("bno_level", 28, "I"),
        ("cnt_level", 32, "I"),
        ("flfirst", 40, "I"),
        ("fllast", 44, "I"),
        ("flcount", 48, "I"),
        ("freeblks", 52, "I"),
        ("longest", 56, "I"),
        ("btreeblks", 60, "I"),
        ("uuid", 64, "2Q"),
        ("rmap_blocks", 80, "I"),
        ("crc", 216, "I"),
    ),
)
AGI: Final = Layout(
    "AGI",
    344,
    ">",
    _FORMAT + "struct xfs_agi",
    (
        ("magic", 0, "I"),
        ("version", 4, "I"),
        ("seqno", 8, "I"),
        ("length", 12, "I"),
        ("uuid", 296, "2Q"),
        ("crc", 312, "I"),
    ),
)
AGFL: Final = Layout(
    "AGFL",
    36,
    ">",
    _FORMAT + "struct xfs_agfl",
    (("magic", 0, "I"), ("seqno", 4, "I"), ("uuid", 8, "2Q"), ("crc", 32, "I")),
)
_MAGICS: Final = {"AGF": 0x58414746, "AGI": 0x58414749, "AGFL": 0x5841464C}


@attrs.frozen(eq=False)
class Groups:
    """Neighbouring allocation groups, one array element for each. Blocks are counted from the start of each group."""

    numbers: Numbers
    length: Numbers
    """How many blocks the group has."""
    roots: dict[str, Numbers]
    """The root block of its trees ``bno`` (free space by place) and ``cnt`` (by length)."""
    heights: dict[str, Numbers]
    kept: Numbers
    """How many blocks are kept for the trees."""
    kept_blocks: Numbers
    """The numbers of all blocks that are kept for the trees, of all groups, counted from the file system's start."""
    free: Numbers
    """How many blocks are free."""
    longest: Numbers
    """How many blocks the longest free run has."""
    tree_blocks: Numbers
    """How many blocks the group says its trees take, roots not counted. Only true where counters are lazy."""
    rmap_blocks: Numbers
    """How many blocks the tree of reverse mappings takes, its root counted."""


def batches(superblock: Superblock, blocks: Blocks) -> Iterator[Groups]:
    """All groups, in order, with their headers checked: as many together as memory allows.

    Raises ``StructureFault`` for the first that cannot be true.
    """
    width = max(1, min(_BATCH, _BATCH_BYTES // (superblock.header_blocks * superblock.block_size)))
    for first in range(0, superblock.groups, width):
        numbers = np.arange(first, min(first + width, superblock.groups))
        groups = _read(superblock, blocks, numbers)
        if not superblock.lazy:
            yield from (_part(groups, at, at + 1) for at in range(numbers.size))
            continue
        begun = np.cumsum(groups.tree_blocks) // _BATCH_TREES
        edges = [0, *(np.flatnonzero(np.diff(begun)) + 1).tolist(), numbers.size]
        yield from (_part(groups, start, end) for start, end in pairwise(edges))


def _part(groups: Groups, start: int, end: int) -> Groups:
    """Only these of the groups."""
    here = slice(start, end)
    kept = slice(int(groups.kept[:start].sum()), int(groups.kept[:end].sum()))
    return Groups(
        groups.numbers[here],
        groups.length[here],
        {name: root[here] for name, root in groups.roots.items()},
        {name: height[here] for name, height in groups.heights.items()},
        groups.kept[here],
        groups.kept_blocks[kept],
        groups.free[here],
        groups.longest[here],
        groups.tree_blocks[here],
        groups.rmap_blocks[here],
    )


def _read(superblock: Superblock, blocks: Blocks, numbers: Numbers) -> Groups:
    first = numbers * superblock.blocks_per_group
    places = (first[:, np.newaxis] + np.arange(superblock.header_blocks)).reshape(-1)
    rows = blocks.gather(places, "headers of an allocation group").reshape(numbers.size, -1)
    length = np.full(numbers.size, superblock.blocks_per_group, dtype=np.int64)
    length[numbers == superblock.groups - 1] = superblock.blocks_in_last_group
    agf = _checked(superblock, AGF, _sector(superblock, rows, 1), numbers)
    agi = _checked(superblock, AGI, _sector(superblock, rows, 2), numbers)
    for name, table in (("AGF", agf), ("AGI", agi)):
        _require(table["version"] == 1, name, "version", numbers)
        _require(table["length"] == length, name, "length", numbers)
    groups = Groups(
        numbers,
        length,
        {tree: agf[f"{tree}_root"].astype(np.int64) for tree in ("bno", "cnt")},
        {tree: agf[f"{tree}_level"].astype(np.int64) for tree in ("bno", "cnt")},
        agf["flcount"].astype(np.int64),
        _kept(superblock, agf, _sector(superblock, rows, 3), numbers),
        agf["freeblks"].astype(np.int64),
        agf["longest"].astype(np.int64),
        agf["btreeblks"].astype(np.int64),
        agf["rmap_blocks"].astype(np.int64) if superblock.has(RoCompat.RMAPBT) else np.ones_like(numbers),
    )
    for tree, heights in groups.heights.items():
        _require((heights >= 1) & (heights <= _HIGHEST), "AGF", f"{tree}_level", numbers)
    _require(groups.free <= length, "AGF", "freeblks", numbers)
    _require(groups.longest <= groups.free, "AGF", "longest", numbers)
    _require(groups.tree_blocks < length, "AGF", "btreeblks", numbers)
    _require((groups.rmap_blocks >= 1) & (groups.rmap_blocks < length), "AGF", "rmap_blocks", numbers)
    return groups


def _sector(superblock: Superblock, rows: Rows, index: int) -> Rows:
    size = superblock.sector_size
    return np.ascontiguousarray(rows[:, index * size : (index + 1) * size])


def _checked(superblock: Superblock, layout: Layout, rows: Rows, numbers: Numbers) -> NDArray[Any]:
    """The headers of one kind as a table, after a look at what they all carry."""
    table = rows.view(layout.columns(rows.shape[1])).reshape(-1)
    _require(table["magic"] == _MAGICS[layout.name], layout.name, "magic", numbers)
    _require(table["seqno"] == numbers, layout.name, "seqno", numbers)
    if superblock.checks:
        own = np.frombuffer(superblock.uuid, dtype=">u8")
        _require((table["uuid"] == own).all(axis=1), layout.name, "uuid", numbers)
        wrong = unsealed(rows, layout.offset_of("crc"))
        if wrong.size:
            raise StructureFault(f"the {layout.name} of allocation group {numbers[wrong[0]]} does not fit its checksum")
    return table


def _kept(superblock: Superblock, agf: NDArray[Any], rows: Rows, numbers: Numbers) -> Numbers:
    """The blocks in the lists of blocks that are kept for the trees; each list is a ring."""
    if superblock.checks:
        _checked(superblock, AGFL, rows, numbers)
    table = rows[:, AGFL.size if superblock.checks else 0 :].copy().view(">u4").astype(np.int64)
    size = table.shape[1]
    first, last, count = (agf[field].astype(np.int64) for field in ("flfirst", "fllast", "flcount"))
    _require(first < size, "AGF", "flfirst", numbers)
    _require(last < size, "AGF", "fllast", numbers)
    # a ring of another length, as 32-bit kernels once had it, is found here too
    _require(count == np.where(count > 0, (last - first) % size + 1, 0), "AGF", "flcount", numbers)
    active = (np.arange(size) - first[:, np.newaxis]) % size < count[:, np.newaxis]
    sane = (table >= superblock.header_blocks) & (table < agf["length"].astype(np.int64)[:, np.newaxis])
    _require((sane | ~active).all(axis=1), "AGFL", "list", numbers)
    kept: Numbers = (table + (numbers * superblock.blocks_per_group)[:, np.newaxis])[active]
    return kept


def _require(holds: NDArray[np.bool_], name: str, field: str, numbers: Numbers) -> None:
    wrong = np.flatnonzero(~holds)
    if wrong.size:
        raise StructureFault(f"the {name} of allocation group {numbers[wrong[0]]} cannot be true: {field}")
