"""The boot sector of a FAT volume: what it is, and where its tables and clusters lie."""

from __future__ import annotations

from functools import cached_property
from typing import Final

import attrs

from holdstill.spi.reader import Reader
from holdstill_filesystems.fields import Layout, Record

#: fewer clusters than these, and the entries have 12 or 16 bits
_FAT16_FROM: Final = 4085
_FAT32_FROM: Final = 65525
#: clusters above this have no number that 28 bits can tell from a mark
MOST_CLUSTERS: Final = 0x0FFFFFF5
#: bits of ``state``: mounted for writing, and a read or write once failed (Linux msdos_fs.h, FAT_STATE_DIRTY)
_DIRTY, _FAILED = 1, 2
#: in ``ext_flags``: the copies of the table are not kept equal
_NOT_MIRRORED: Final = 0x80
#: a free count that nobody has counted
UNKNOWN: Final = 0xFFFFFFFF

_SOURCE: Final = "Microsoft FAT: General Overview of On-Disk Format 1.03, Linux include/uapi/linux/msdos_fs.h"
LAYOUT: Final = Layout(
    "boot sector",
    512,
    "<",
    _SOURCE,
    (
        ("bytes_per_sector", 11, "H"),
        ("sectors_per_cluster", 13, "B"),
        ("reserved_sectors", 14, "H"),
        ("fats", 16, "B"),
        ("root_entries", 17, "H"),
        ("sectors_16", 19, "H"),
        ("media", 21, "B"),
        ("fat_sectors_16", 22, "H"),
        ("sectors_32", 32, "I"),
        ("fat_sectors_32", 36, "I"),
        ("state_16", 37, "B"),
        ("ext_flags", 40, "H"),
        ("version", 42, "H"),
        ("root_cluster", 44, "I"),
        ("info_sector", 48, "H"),
        ("state_32", 65, "B"),
        ("signature", 510, "H"),
    ),
)
_INFO: Final = Layout(
    "FSInfo sector",
    512,
    "<",
    _SOURCE,
    (("lead", 0, "I"), ("structure", 484, "I"), ("free_clusters", 488, "I"), ("trail", 508, "I")),
)


@attrs.frozen(slots=False)  # slots would leave cached_property nowhere to keep its value
class BootSector:
    """A boot sector whose numbers agree with each other and with the size of the volume. Sizes in bytes."""

    record: Record

    @classmethod
    def read(cls, reader: Reader) -> BootSector:
        """Raises ``StructureFault`` for everything that is not a FAT volume this reader knows."""
        boot = cls(LAYOUT.read(reader, 0))
        boot._check_units()
        boot._check_places(reader.size)
        return boot

    # --- units ----------------------------------------------------------------------------------

    @cached_property
    def sector_size(self) -> int:  # noqa: D102
        return int(self.record["bytes_per_sector"])

    @cached_property
    def cluster_size(self) -> int:  # noqa: D102
        return self.sector_size * int(self.record["sectors_per_cluster"])

    @cached_property
    def is_fat32(self) -> bool:
        """By the one rule that Linux and Windows go by: the 16 bit length of a table is not used."""
        return not self.record["fat_sectors_16"]

    @cached_property
    def bits(self) -> int:
        """How many bits an entry of the table has."""
        if self.is_fat32:
            return 32
        return 12 if self.clusters < _FAT16_FROM else 16

    # --- places ---------------------------------------------------------------------------------

    @cached_property
    def table_start(self) -> int:
        """Where the first copy of the table begins."""
        return int(self.record["reserved_sectors"]) * self.sector_size

    @cached_property
    def table_size(self) -> int:
        """The length of one copy, slack at its end included."""
        return int(self.record["fat_sectors_16"] or self.record["fat_sectors_32"]) * self.sector_size

    @cached_property
    def copies(self) -> int:
        """How many copies of the table there are, one after the other."""
        return int(self.record["fats"])

    @cached_property
    def data_start(self) -> int:
        """Where cluster 2, the first one, begins: behind the tables and the root directory of FAT12 and FAT16."""
        root = -(-int(self.record["root_entries"]) * 32 // self.sector_size) * self.sector_size
        return self.table_start + self.copies * self.table_size + root

    @cached_property
    def size(self) -> int:
        """Where the file system ends."""
        return int(self.record["sectors_16"] or self.record["sectors_32"]) * self.sector_size

    @cached_property
    def clusters(self) -> int:
        """How many whole clusters there are; their numbers begin with 2."""
        return (self.size - self.data_start) // self.cluster_size

    @cached_property
    def data_end(self) -> int:
        """Where the last cluster ends."""
        return self.data_start + self.clusters * self.cluster_size

    # --- checks ---------------------------------------------------------------------------------

    def _check_units(self) -> None:
        record = self.record
        record.require("signature", record["signature"] == 0xAA55, "not a boot sector")
        sane = self.sector_size in {512, 1024, 2048, 4096}
        record.require("bytes_per_sector", sane, "sectors have 512, 1024, 2048 or 4096 bytes")
        sectors = record["sectors_per_cluster"]
        sane = sectors > 0 and sectors & sectors - 1 == 0
        record.require("sectors_per_cluster", sane, "it should be a power of two")
        record.require("reserved_sectors", record["reserved_sectors"] > 0, "the boot sector itself is one of them")
        record.require("fats", record["fats"] in {1, 2}, "there are one or two copies of the table")
        sane = record["media"] >= 0xF8 or record["media"] == 0xF0
        record.require("media", sane, "no such medium")
        if self.is_fat32:
            record.require("root_entries", not record["root_entries"], "FAT32 has its root directory in clusters")
            record.require("version", record["version"] == 0, "an unknown version of FAT32")
            mirrored = not record["ext_flags"] & _NOT_MIRRORED
            record.require("ext_flags", mirrored, "the copies of the table are not kept equal")
        else:
            entries = record["root_entries"]
            record.require("root_entries", entries > 0, "there is no root directory")
            record.require("root_entries", entries * 32 % self.sector_size == 0, "it should fill whole sectors")

    def _check_places(self, volume_size: int) -> None:
        record = self.record
        length = "fat_sectors_32" if self.is_fat32 else "fat_sectors_16"
        total = "sectors_16" if record["sectors_16"] else "sectors_32"
        record.require(length, self.table_size > 0, "there is no table")
        fits = self.size <= volume_size
        record.require(total, fits, f"the file system has {self.size} bytes, but the volume only {volume_size}")
        record.require(total, self.size > self.data_start and self.clusters > 0, "there is no room for clusters")
        most = MOST_CLUSTERS if self.is_fat32 else _FAT32_FROM - 1
        record.require(total, self.clusters <= most, f"there are {self.clusters} clusters, more than have numbers")
        roomy = (self.clusters + 2) * self.bits <= self.table_size * 8
        record.require(length, roomy, f"a table of {self.table_size} bytes has no room for {self.clusters} clusters")
        if self.is_fat32:
            inside = 2 <= record["root_cluster"] < self.clusters + 2
            record.require("root_cluster", inside, "there is no such cluster")

    def distrust(self) -> str | None:
        """Why its table may not tell the truth (a sentence), or None."""
        state = self.record["state_32" if self.is_fat32 else "state_16"]
        if state & _DIRTY:
            return "it was not unmounted cleanly: its table may lack what was written last"
        if state & _FAILED:
            return "it is marked as having errors: its table cannot be trusted before fsck.fat has run"
        return None

    def free_clusters(self, reader: Reader) -> int | None:
        """How many clusters FAT32 remembers to be free, or None. Raises ``StructureFault`` for what is no FSInfo."""
        sector = self.record["info_sector"]
        if not self.is_fat32 or sector in {0, 0xFFFF}:
            return None
        self.record.require("info_sector", sector < self.record["reserved_sectors"], "it lies behind the reserved ones")
        info = _INFO.read(reader, sector * self.sector_size)
        for field, magic in (("lead", 0x41615252), ("structure", 0x61417272), ("trail", 0xAA550000)):
            info.require(field, info[field] == magic, f"it should be 0x{magic:x}")
        known = int(info["free_clusters"])
        if known == UNKNOWN:
            return None
        info.require("free_clusters", known <= self.clusters, "there are not so many clusters")
        return known
