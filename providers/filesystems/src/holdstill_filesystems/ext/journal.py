"""The journal as it lies on the disk: its superblock, and the control blocks of its log (jbd2, big-endian).

Source: Linux Documentation/filesystems/ext4/journal.rst and include/linux/jbd2.h.
"""

from __future__ import annotations

import enum
import struct
import zlib
from collections.abc import Iterator
from typing import Final, NamedTuple

import attrs
import numpy as np

from holdstill.errors import StructureFault
from holdstill_filesystems.blocks import Blocks, Numbers, Rows
from holdstill_filesystems.crc import CRC32C, Registers
from holdstill_filesystems.ext.inode import places
from holdstill_filesystems.ext.superblock import Superblock
from holdstill_filesystems.fields import Layout, Record

MAGIC: Final = 0xC03B3998
#: more log blocks than this (16 GiB of 4 KiB blocks) are not kept in memory
MOST_BLOCKS: Final = 1 << 22
_CRC32C_TYPE: Final = 4
_CHECKSUM_COMPAT: Final = 1
#: bits of a tag's flags
ESCAPED, SAME_UUID, LAST_TAG = 1, 2, 8
_REVERSED: Final = np.packbits(
    np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)[:, ::-1], axis=1
).tobytes()

LAYOUT: Final = Layout(
    "journal superblock",
    1024,
    ">",
    "Linux Documentation/filesystems/ext4/journal.rst",
    (
        ("magic", 0x0, "I"),
        ("kind", 0x4, "I"),
        ("block_size", 0xC, "I"),
        ("blocks", 0x10, "I"),
        ("first", 0x14, "I"),
        ("sequence", 0x18, "I"),
        ("start", 0x1C, "I"),
        ("errno", 0x20, "i"),
        ("feature_compat", 0x24, "I"),
        ("feature_incompat", 0x28, "I"),
        ("feature_ro_compat", 0x2C, "I"),
        ("uuid", 0x30, "16s"),
        ("checksum_type", 0x50, "B"),
        ("checksum", 0xFC, "I"),
    ),
)
HEADER: Final = Layout(
    "journal block header", 12, ">", LAYOUT.source, (("magic", 0, "I"), ("kind", 4, "I"), ("sequence", 8, "I"))
)


class Kind(enum.IntEnum):
    """What a control block is."""

    DESCRIPTOR = 1
    COMMIT = 2
    SUPERBLOCK_V1 = 3
    SUPERBLOCK_V2 = 4
    REVOKE = 5


class Incompat(enum.IntFlag):
    """What a journal needs to be replayed."""

    REVOKE = 0x1
    BITS64 = 0x2
    ASYNC_COMMIT = 0x4
    CSUM_V2 = 0x8
    CSUM_V3 = 0x10
    FAST_COMMIT = 0x20


class Tag(NamedTuple):
    """One logged block: where it belongs, and how it was stored."""

    block: int
    flags: int
    checksum: int


@attrs.frozen
class Journal:
    """An internal journal. ``places[i]`` is the block of the file system that holds log block ``i``."""

    record: Record
    places: Numbers = attrs.field(repr=False)
    blocks: Blocks = attrs.field(repr=False)
    seed: int

    @classmethod
    def read(cls, superblock: Superblock, blocks: Blocks) -> Journal:
        """The journal of the file system; ``blocks`` are as they lie on the volume. Raises ``StructureFault``."""
        where = places(superblock, blocks, superblock.record["journal_inum"], MOST_BLOCKS)
        data = blocks.read(int(where[0]), 1, "journal superblock").tobytes()
        record = LAYOUT.parse(data, int(where[0]) * blocks.block_size)
        _check(record, blocks.block_size, where.size)
        journal = cls(record, where, blocks, CRC32C.one(record["uuid"], 0xFFFFFFFF))
        if journal.checks:
            record.require("checksum_type", record["checksum_type"] == _CRC32C_TYPE, "an unknown kind of checksum")
            blanked = record.data[:0xFC] + bytes(4) + record.data[0x100:]
            fits = record["checksum"] == CRC32C.one(blanked, 0xFFFFFFFF)
            record.require("checksum", fits, "the checksum does not fit")
        return journal

    def has(self, feature: Incompat) -> bool:
        """Is the feature on?"""
        return self.record["kind"] == Kind.SUPERBLOCK_V2 and bool(self.record["feature_incompat"] & feature)

    @property
    def checks(self) -> bool:
        """Does every block of the log carry a checksum (versions 2 and 3)?"""
        return self.has(Incompat.CSUM_V2) or self.has(Incompat.CSUM_V3)

    @property
    def checks_transactions(self) -> bool:
        """Do commit blocks carry one checksum of their whole transaction (version 1)?"""
        return self.record["kind"] == Kind.SUPERBLOCK_V2 and bool(self.record["feature_compat"] & _CHECKSUM_COMPAT)

    @property
    def empty(self) -> bool:
        """Is there nothing to replay?"""
        return bool(self.record["start"] == 0)

    def log(self, index: Numbers) -> Rows:
        """These log blocks, as they lie on the disk."""
        return self.blocks.gather(self.places[index], "journal")

    # --- control blocks -------------------------------------------------------------------------

    def tags(self, data: bytes) -> Iterator[Tag]:
        """What a descriptor block lists, up to the tag that says it is the last, or that no more would fit behind."""
        size = 16 if self.has(Incompat.CSUM_V3) else 8 + 4 * self.has(Incompat.BITS64) + 2 * self.has(Incompat.CSUM_V2)
        end = len(data) - 4 * self.checks
        at, flags = HEADER.size, 0
        while not flags & LAST_TAG and at + size <= end:
            if self.has(Incompat.CSUM_V3):
                low, flags, high, checksum = struct.unpack_from(">IIII", data, at)
            else:
                low, checksum, flags = struct.unpack_from(">IHH", data, at)
                high = struct.unpack_from(">I", data, at + 8)[0] if self.has(Incompat.BITS64) else 0
            yield Tag(high << 32 | low if self.has(Incompat.BITS64) else low, flags, checksum)
            at += size if flags & SAME_UUID else size + 16

    def revoked(self, data: bytes) -> Numbers:
        """The blocks whose older versions in the log a revoke block voids."""
        used = int.from_bytes(data[12:16], "big")
        size = 8 if self.has(Incompat.BITS64) else 4
        if not 16 <= used <= len(data) - 4 * self.checks or (used - 16) % size:
            raise StructureFault(f"a revoke block of the journal says that it uses {used} bytes")
        return np.frombuffer(data[16:used], dtype=f">u{size}").astype(np.int64)

    def check_tail(self, data: bytes, index: int) -> None:
        """Check the checksum at the end of a descriptor or revoke block."""
        if self.checks:
            stored = int.from_bytes(data[-4:], "big")
            if stored != CRC32C.one(data[:-4] + bytes(4), self.seed):
                raise StructureFault(f"log block {index} of the journal does not fit its checksum")

    def check_commit(self, data: bytes, index: int, running: int) -> None:
        """Check a commit block; ``running`` is ``transaction_checksum`` of all before it."""
        stored = int.from_bytes(data[16:20], "big")
        if self.checks:
            fits = stored == CRC32C.one(data[:16] + bytes(4) + data[20:], self.seed)
        elif self.checks_transactions:
            # a journal that was given the feature on the way has commit blocks without a checksum: doubt enough
            fits = (data[12], data[13]) == (1, 4) and stored == running
        else:
            fits = True
        if not fits:
            raise StructureFault(f"the commit at log block {index} of the journal does not fit its checksum")

    def checksums(self, rows: Rows, sequences: Numbers) -> Registers:
        """What the tags of these logged blocks should carry, as far as a tag has room."""
        numbers = sequences.astype(">u4").view(np.uint8).reshape(-1, 4)
        computed = CRC32C.many(rows, CRC32C.many(numbers, self.seed))
        return computed if self.has(Incompat.CSUM_V3) else computed & np.uint32(0xFFFF)


def transaction_checksum(data: bytes, running: int) -> int:
    """The version 1 checksum: CRC-32 with the highest bit first, which is zlib's with every bit order turned round."""
    turned = _turned(running) ^ 0xFFFFFFFF
    return _turned(zlib.crc32(data.translate(_REVERSED), turned) ^ 0xFFFFFFFF)


def _turned(register: int) -> int:
    return int.from_bytes(register.to_bytes(4, "little").translate(_REVERSED), "big")


def _check(record: Record, block_size: int, blocks: int) -> None:
    record.require("magic", record["magic"] == MAGIC, "not a journal")
    record.require("kind", record["kind"] in {Kind.SUPERBLOCK_V1, Kind.SUPERBLOCK_V2}, "not a journal's superblock")
    record.require("block_size", record["block_size"] == block_size, f"the file system's is {block_size}")
    record.require("blocks", record["blocks"] <= blocks, f"the journal's inode has only {blocks}")
    record.require("first", 0 < record["first"] < record["blocks"], "the log lies behind the superblock")
    in_log = record["start"] == 0 or record["first"] <= record["start"] < record["blocks"]
    record.require("start", in_log, "outside the log")
    record.require("errno", record["errno"] == 0, "the journal was given up after an error")
    if record["kind"] == Kind.SUPERBLOCK_V1:
        return
    incompat = record["feature_incompat"]
    record.require("feature_incompat", not incompat & ~int(sum(Incompat)), "an unknown feature")
    record.require("feature_ro_compat", not record["feature_ro_compat"], "an unknown feature")
    kinds = bool(incompat & Incompat.CSUM_V2) + bool(incompat & Incompat.CSUM_V3)
    kinds += bool(record["feature_compat"] & _CHECKSUM_COMPAT)
    record.require("feature_incompat", kinds <= 1, "two kinds of checksums at once")
