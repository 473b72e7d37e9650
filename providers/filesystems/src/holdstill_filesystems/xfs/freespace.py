"""Which blocks are in use: all that the trees of free space do not list, checked against all that must be in use."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import numpy as np

from holdstill.errors import StructureFault
from holdstill.model import windows
from holdstill.model.extents import Extents
from holdstill_filesystems.blocks import Blocks, Numbers
from holdstill_filesystems.xfs.features import RoCompat
from holdstill_filesystems.xfs.groups import Groups, batches
from holdstill_filesystems.xfs.superblock import Superblock
from holdstill_filesystems.xfs.trees import Runs, Trees


def used_in_groups(superblock: Superblock, blocks: Blocks, *, unmounted: bool) -> Iterator[Extents]:
    """What is in use, in bytes, up to the end of the file system. ``unmounted``: the superblock's counters are true.

    Raises ``StructureFault``, at the latest behind the last window.
    """
    return windows.complement(_free(superblock, blocks, unmounted=unmounted), superblock.size)


def _free(superblock: Superblock, blocks: Blocks, *, unmounted: bool) -> Iterator[Extents]:
    total = 0
    for groups in batches(superblock, blocks):
        by_place = Trees(superblock, blocks, groups, "bno")
        by_length = Trees(superblock, blocks, groups, "cnt")
        must = _in_use_for_certain(superblock, groups, by_place, by_length)
        tree_blocks = _tree_blocks(superblock, groups, by_place, by_length)
        expected = _Tally.of(groups)
        for runs in by_length.runs():
            expected.add(runs)
        found = _Tally.of(groups)
        for runs in by_place.runs():
            found.add(runs)
            free = _in_bytes(superblock, groups, runs)
            clash = free.intersection(must)
            if clash:
                raise StructureFault(f"metadata at byte {int(clash.starts[0])} is listed as free")
            yield free
        _compare(groups, found, expected)
        total += int((groups.free + groups.kept + tree_blocks).sum())
    if (unmounted or not superblock.lazy) and total != superblock.record["fdblocks"]:
        raise superblock.record.fault("fdblocks", f"the allocation groups have {total} free blocks")


def _in_use_for_certain(superblock: Superblock, groups: Groups, *trees: Trees) -> Extents:
    """Headers, the log, blocks kept for the trees, and the trees; no two of them on top of each other."""
    size = superblock.block_size
    first = groups.numbers * superblock.blocks_per_group * size
    headers = Extents.from_arrays(first, np.full(first.size, superblock.header_blocks * size))
    end = int(first[-1] + groups.length[-1] * size)
    log = superblock.log.clip(int(first[0]), end)
    single = np.concatenate([groups.kept_blocks, *(tree.places for tree in trees)])
    blocks = Extents.from_arrays(single * size, np.full(single.size, size))
    must = headers.union(log).union(blocks)
    if must.total != headers.total + log.total + single.size * size:
        raise StructureFault(f"metadata overlaps in allocation groups {groups.numbers[0]} to {groups.numbers[-1]}")
    return must


def _tree_blocks(superblock: Superblock, groups: Groups, *trees: Trees) -> Numbers:
    """How many blocks the trees take that count as free (all but roots); as the group says, if it does."""
    counted = sum((tree.counts() - 1 for tree in trees), start=np.zeros_like(groups.numbers))
    if superblock.has(RoCompat.RMAPBT):
        counted += groups.rmap_blocks - 1
    wrong = np.flatnonzero(counted != groups.tree_blocks) if superblock.lazy else np.empty(0, dtype=np.int64)
    if wrong.size:
        raise StructureFault(
            f"the trees of allocation group {groups.numbers[wrong[0]]} have {counted[wrong[0]]} blocks, "
            f"its header says {groups.tree_blocks[wrong[0]]}"
        )
    return counted


def _in_bytes(superblock: Superblock, groups: Groups, runs: Runs) -> Extents:
    first = groups.numbers[runs.slot] * superblock.blocks_per_group + runs.start
    return Extents.from_arrays(first * superblock.block_size, runs.length * superblock.block_size)


@attrs.frozen(eq=False)
class _Tally:
    """What was found in the trees of each group, whatever the order: blocks, the longest run, a digest of the runs."""

    blocks: Numbers
    longest: Numbers
    digest: Numbers

    @classmethod
    def of(cls, groups: Groups) -> _Tally:
        return cls(*(np.zeros(groups.numbers.size, dtype=np.int64) for _ in range(3)))

    def add(self, runs: Runs) -> None:
        np.add.at(self.blocks, runs.slot, runs.length)
        np.maximum.at(self.longest, runs.slot, runs.length)
        np.add.at(self.digest, runs.slot, _mixed(runs.start << 32 | runs.length))


def _mixed(values: Numbers) -> Numbers:
    """Each value made to look random, so that sums of unlike sets differ (the finisher of MurmurHash3)."""
    bits = values.view(np.uint64)
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        bits = (bits ^ bits >> np.uint64(33)) * np.uint64(factor)
    return (bits ^ bits >> np.uint64(33)).view(np.int64)


def _compare(groups: Groups, found: _Tally, expected: _Tally) -> None:
    for wrong, because in (
        (found.blocks != groups.free, "another number of free blocks than its header says"),
        (found.longest != groups.longest, "another longest free run than its header says"),
        (
            (found.digest != expected.digest) | (found.blocks != expected.blocks),
            "two trees of free space that differ",
        ),
    ):
        if wrong.any():
            raise StructureFault(f"allocation group {groups.numbers[np.flatnonzero(wrong)[0]]} has {because}")
