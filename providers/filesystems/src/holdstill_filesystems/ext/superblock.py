"""The superblock of ext2/3/4: what the file system is, and the numbers that everything else is found by."""

from __future__ import annotations

from functools import cached_property
from typing import Final

import attrs

from holdstill.errors import StructureFault
from holdstill.spi.reader import Reader
from holdstill_filesystems.crc import CRC16, CRC32C
from holdstill_filesystems.ext.features import Compat, Incompat, RoCompat, not_understood
from holdstill_filesystems.fields import Layout, Record

MAGIC: Final = 0xEF53
#: where the first superblock begins, whatever the block size, bytes
OFFSET: Final = 1024
#: bits of ``state``
CLEAN, ERRORS = 1, 2
#: more groups than this (512 TiB of 4 KiB blocks) are not kept in memory
MOST_GROUPS: Final = 1 << 22

LAYOUT: Final = Layout(
    "superblock",
    1024,
    "<",
    "Linux Documentation/filesystems/ext4/super.rst",
    (
        ("blocks_count_lo", 0x4, "I"),
        ("first_data_block", 0x14, "I"),
        ("log_block_size", 0x18, "I"),
        ("log_cluster_size", 0x1C, "I"),
        ("blocks_per_group", 0x20, "I"),
        ("clusters_per_group", 0x24, "I"),
        ("inodes_per_group", 0x28, "I"),
        ("magic", 0x38, "H"),
        ("state", 0x3A, "H"),
        ("rev_level", 0x4C, "I"),
        ("inode_size", 0x58, "H"),
        ("feature_compat", 0x5C, "I"),
        ("feature_incompat", 0x60, "I"),
        ("feature_ro_compat", 0x64, "I"),
        ("uuid", 0x68, "16s"),
        ("volume_name", 0x78, "16s"),
        ("reserved_gdt_blocks", 0xCE, "H"),
        ("journal_inum", 0xE0, "I"),
        ("journal_dev", 0xE4, "I"),
        ("desc_size", 0xFE, "H"),
        ("first_meta_bg", 0x104, "I"),
        ("blocks_count_hi", 0x150, "I"),
        ("flags", 0x160, "I"),
        ("checksum_type", 0x175, "B"),
        ("backup_bgs", 0x24C, "2I"),
        ("checksum_seed", 0x270, "I"),
        ("checksum", 0x3FC, "I"),
    ),
)


@attrs.frozen(slots=False)  # slots would leave cached_property nowhere to keep its value
class Superblock:
    """A superblock whose numbers agree with each other and with the size of the volume. Sizes in bytes."""

    record: Record

    @classmethod
    def read(cls, reader: Reader) -> Superblock:
        """Raises ``StructureFault`` for everything that is not a file system this reader knows."""
        return cls.checked(LAYOUT.read(reader, OFFSET), reader.size)

    @classmethod
    def checked(cls, record: Record, volume_size: int) -> Superblock:
        """The superblock in ``record``; raises ``StructureFault`` unless it makes sense on a volume of this size."""
        record.require("magic", record["magic"] == MAGIC, "not an ext file system")
        superblock = cls(record)
        superblock._check_features()
        superblock._check_checksum()
        superblock._check_sizes(volume_size)
        return superblock

    # --- what it needs --------------------------------------------------------------------------

    def has(self, feature: Compat | Incompat | RoCompat) -> bool:
        """Is the feature on?"""
        word = {Compat: "feature_compat", Incompat: "feature_incompat", RoCompat: "feature_ro_compat"}[type(feature)]
        return bool(self.record[word] & feature)

    def _check_features(self) -> None:
        record = self.record
        record.require("rev_level", record["rev_level"] in {0, 1}, "an unknown revision")
        words = ("feature_compat", "feature_incompat", "feature_ro_compat")
        if record["rev_level"] == 0 and any(record[word] for word in words):
            raise record.fault("rev_level", "revision 0 knows no features, but some are on")
        reason = not_understood(record["feature_incompat"], record["feature_ro_compat"])
        if reason:
            raise StructureFault(reason)

    def _check_checksum(self) -> None:
        if not self.has(RoCompat.METADATA_CSUM):
            return
        record = self.record
        record.require("checksum_type", record["checksum_type"] == 1, "an unknown kind of checksum")
        computed = CRC32C.one(record.data[: LAYOUT.offset_of("checksum")], 0xFFFFFFFF)
        record.require("checksum", record["checksum"] == computed, f"the checksum does not fit, {computed} would")

    # --- sizes ----------------------------------------------------------------------------------

    @cached_property
    def block_size(self) -> int:  # noqa: D102
        return int(1024 << self.record["log_block_size"])

    @cached_property
    def cluster_size(self) -> int:
        """What one bit of a bitmap stands for."""
        return int(1024 << self.record["log_cluster_size"])

    @cached_property
    def blocks(self) -> int:
        """How many blocks the file system has, the boot block included."""
        return int(self.record["blocks_count_hi"] << 32 | self.record["blocks_count_lo"])

    @cached_property
    def size(self) -> int:
        """Where the file system ends."""
        return self.blocks * self.block_size

    @cached_property
    def first_data_block(self) -> int:
        """The block that group 0 begins with: 1 with blocks and clusters of 1 KiB, else 0."""
        return int(self.record["first_data_block"])

    @cached_property
    def blocks_per_group(self) -> int:  # noqa: D102
        return int(self.record["blocks_per_group"])

    @cached_property
    def clusters_per_group(self) -> int:
        """How many bits of each bitmap count."""
        return int(self.record["clusters_per_group"])

    @cached_property
    def groups(self) -> int:  # noqa: D102
        return -(-(self.blocks - self.first_data_block) // self.blocks_per_group)

    @cached_property
    def clusters_in_last_group(self) -> int:
        """How many bits of the last bitmap count; the file system may end within a cluster."""
        blocks = self.blocks - self.first_data_block - (self.groups - 1) * self.blocks_per_group
        return -(-blocks * self.block_size // self.cluster_size)

    @cached_property
    def inode_size(self) -> int:  # noqa: D102
        return 128 if self.record["rev_level"] == 0 else int(self.record["inode_size"])

    @cached_property
    def inodes_per_group(self) -> int:  # noqa: D102
        return int(self.record["inodes_per_group"])

    @cached_property
    def table_blocks(self) -> int:
        """How many blocks each group's inode table takes."""
        return -(-self.inodes_per_group * self.inode_size // self.block_size)

    @cached_property
    def descriptor_size(self) -> int:  # noqa: D102
        return int(self.record["desc_size"]) if self.has(Incompat.BITS64) else 32

    @cached_property
    def descriptors_per_block(self) -> int:  # noqa: D102
        return self.block_size // self.descriptor_size

    @cached_property
    def descriptor_blocks(self) -> int:  # noqa: D102
        return -(-self.groups // self.descriptors_per_block)

    @cached_property
    def first_meta_group(self) -> int:
        """From which descriptor block on descriptors lie with their own groups; the others follow the superblock."""
        return int(self.record["first_meta_bg"]) if self.has(Incompat.META_BG) else self.descriptor_blocks

    def _check_sizes(self, volume_size: int) -> None:
        record = self.record
        bigalloc = self.has(RoCompat.BIGALLOC)
        log_block, log_cluster = record["log_block_size"], record["log_cluster_size"]
        record.require("log_block_size", log_block <= 6, "blocks are 1 KiB to 64 KiB")
        clusters_fit = log_block <= log_cluster <= 20 if bigalloc else log_cluster == log_block
        record.require("log_cluster_size", clusters_fit, "clusters are not so large")
        first = 1 if log_cluster == 0 else 0
        record.require("first_data_block", record["first_data_block"] == first, f"it should be {first}")

        per_group = record["clusters_per_group"]
        sane = 256 <= per_group <= 8 * self.block_size and per_group % 8 == 0
        record.require(
            "clusters_per_group", sane, "it should be a multiple of 8, at least 256, and fill at most a block"
        )
        fits = self.blocks_per_group == per_group << log_cluster - log_block
        record.require("blocks_per_group", fits, "it does not fit the clusters in a group")
        record.require("blocks_count_hi", self.has(Incompat.BITS64) or not record["blocks_count_hi"], "it should be 0")
        record.require("blocks_count_lo", self.blocks > first, "there are no blocks")
        if self.size > volume_size:
            raise record.fault(
                "blocks_count_lo", f"the file system has {self.size} bytes, but the volume only {volume_size}"
            )

        size = self.inode_size
        sane = 128 <= size <= self.block_size and size & size - 1 == 0
        record.require("inode_size", sane, "it should be a power of two, at least 128, at most a block")
        sane = 0 < self.inodes_per_group <= 8 * self.block_size
        record.require("inodes_per_group", sane, "a bitmap has not so many bits")
        record.require("inodes_per_group", self.table_blocks < self.blocks_per_group, "the table would not fit a group")
        size = self.descriptor_size
        sane = not self.has(Incompat.BITS64) or (64 <= size <= 1024 and size & size - 1 == 0)
        record.require("desc_size", sane, "it should be a power of two, 64 to 1024")
        record.require("blocks_count_lo", self.groups <= MOST_GROUPS, f"more than {MOST_GROUPS} groups")
        sane = record["first_meta_bg"] <= self.descriptor_blocks or not self.has(Incompat.META_BG)
        record.require("first_meta_bg", sane, "there are not so many descriptor blocks")
        sane = record["reserved_gdt_blocks"] <= self.block_size // 4
        record.require("reserved_gdt_blocks", sane, "more than a block can name")

    # --- checksums and state --------------------------------------------------------------------

    @cached_property
    def checksum_seed(self) -> int:
        """What every metadata_csum checksum begins with."""
        if self.has(Incompat.CSUM_SEED):
            return int(self.record["checksum_seed"])
        return CRC32C.one(self.record["uuid"], 0xFFFFFFFF)

    @cached_property
    def checksum16_seed(self) -> int:
        """What every gdt_csum checksum begins with."""
        return CRC16.one(self.record["uuid"], 0xFFFF)

    @property
    def checks_groups(self) -> bool:
        """Do descriptors carry a checksum? Only then may a group's bitmap be left unwritten."""
        return self.has(RoCompat.GDT_CSUM) or self.has(RoCompat.METADATA_CSUM)

    @property
    def needs_recovery(self) -> bool:
        """Is the journal ahead of the rest?"""
        return self.has(Incompat.NEEDS_RECOVERY)

    def distrust(self) -> str | None:
        """Why its bitmaps, journal or not, may not tell the truth (a sentence), or None."""
        if self.record["state"] & ERRORS:
            return "it is marked as having errors: its bitmaps cannot be trusted before e2fsck has run"
        if not self.record["state"] & CLEAN:
            return "it was not unmounted cleanly, and no journal says what its bitmaps lack"
        return None
