"""The used blocks of an ext file system, from its volume alone."""

from __future__ import annotations

from collections.abc import Iterator

from holdstill.errors import StructureFault
from holdstill.model.blockmap import BlockMap, WholeVolume
from holdstill.model.extents import Extents
from holdstill.spi.reader import Reader
from holdstill_filesystems.blocks import Blocks
from holdstill_filesystems.ext.bitmaps import used_in_groups
from holdstill_filesystems.ext.features import Compat
from holdstill_filesystems.ext.groups import read_groups, reserved
from holdstill_filesystems.ext.journal import Journal
from holdstill_filesystems.ext.replay import Replay
from holdstill_filesystems.ext.superblock import LAYOUT, OFFSET, Superblock
from holdstill_filesystems.tail import behind


def used_blocks(reader: Reader) -> BlockMap | WholeVolume:
    """The map of the ext file system in ``reader``, or why there is none. Raises ``StructureFault``."""
    superblock = Superblock.read(reader)
    notes: list[str] = []
    blocks = Blocks(reader, superblock.block_size, superblock.blocks)
    if superblock.needs_recovery:
        superblock, blocks = _recovered(reader, superblock, blocks, notes)
    elif superblock.has(Compat.HAS_JOURNAL) and superblock.record["journal_inum"]:
        _refuse_unexpected(Journal.read(superblock, blocks))
    reason = superblock.distrust()
    if reason:
        return WholeVolume(reason)
    groups = read_groups(superblock, blocks)
    fixed = reserved(superblock)
    if fixed.intersection(groups.metadata):
        raise StructureFault("bitmaps or inode tables overlap the superblock, its copies or the descriptors")
    tail = behind(reader, superblock.size, notes)
    windows = used_in_groups(superblock, blocks, groups, fixed.union(groups.metadata))
    boot = Extents.of((0, superblock.first_data_block * superblock.block_size))
    return BlockMap(superblock.block_size, _in_a_row(boot, windows, tail), tuple(notes))


def _recovered(reader: Reader, superblock: Superblock, blocks: Blocks, notes: list[str]) -> tuple[Superblock, Blocks]:
    """The file system as a replay of its journal would leave it. The superblock itself may be in the log."""
    if not superblock.has(Compat.HAS_JOURNAL):
        raise StructureFault("it needs recovery, but says that it has no journal")
    if not superblock.record["journal_inum"]:
        raise StructureFault("it needs recovery from a journal on another device")
    replay = Replay(Journal.read(superblock, blocks))
    number, within = divmod(OFFSET, superblock.block_size)
    block = Blocks(reader, superblock.block_size, superblock.blocks, replay).read(number, 1, "superblock")
    record = LAYOUT.parse(block.tobytes()[within:], OFFSET)
    record.require(
        "log_block_size", 1024 << record["log_block_size"] == superblock.block_size, "the journal changes it"
    )
    newer = Superblock.checked(record, reader.size)
    notes.append(f"the journal was replayed in memory: {replay.transactions} transactions")
    return newer, Blocks(reader, newer.block_size, newer.blocks, replay)


def _refuse_unexpected(journal: Journal) -> None:
    if not journal.empty:
        raise StructureFault("its journal holds changes, although nothing says that it needs recovery")


def _in_a_row(boot: Extents, windows: Iterator[Extents], tail: Extents) -> Iterator[Extents]:
    if boot:
        yield boot
    yield from windows
    if tail:
        yield tail
