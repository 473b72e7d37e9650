"""The boot sector of NTFS: the sizes that everything else is counted in, and where the file table begins."""

from __future__ import annotations

from functools import cached_property
from typing import Final

import attrs

from holdstill.spi.reader import Reader
from holdstill_filesystems.fields import Layout, Record

MAGIC: Final = b"NTFS    "
_LARGEST_CLUSTER: Final = 2 << 20
#: sizes of a file record and of an index block, bytes
_RECORDS: Final = (512, 65536)

LAYOUT: Final = Layout(
    "boot sector",
    512,
    "<",
    "Linux fs/ntfs3/ntfs.h, struct NTFS_BOOT; ntfs-3g include/ntfs-3g/layout.h",
    (
        ("magic", 0x03, "8s"),
        ("bytes_per_sector", 0x0B, "H"),
        ("sectors_per_cluster", 0x0D, "B"),
        ("reserved_sectors", 0x0E, "H"),
        ("fats", 0x10, "B"),
        ("root_entries", 0x11, "H"),
        ("sectors16", 0x13, "H"),
        ("sectors_per_fat", 0x16, "H"),
        ("sectors32", 0x20, "I"),
        ("sectors", 0x28, "Q"),
        ("mft", 0x30, "Q"),
        ("mirror", 0x38, "Q"),
        ("record_size", 0x40, "b"),
        ("index_size", 0x44, "b"),
        ("serial", 0x48, "Q"),
        ("end", 0x1FE, "H"),
    ),
)
_ZERO: Final = ("reserved_sectors", "fats", "root_entries", "sectors16", "sectors_per_fat", "sectors32")
#: what tells one file system from another, and how large it is
_GEOMETRY: Final = ("bytes_per_sector", "sectors_per_cluster", "sectors", "mft", "mirror", "record_size", "serial")


@attrs.frozen(slots=False)  # slots would leave cached_property nowhere to keep its value
class Boot:
    """A boot sector whose numbers agree with each other, with its copy, and with the size of the volume. Sizes in
    bytes.
    """

    record: Record

    @classmethod
    def read(cls, reader: Reader) -> Boot:
        """Raises ``StructureFault`` for everything that is not a sound boot sector of NTFS."""
        boot = cls(LAYOUT.read(reader, 0))
        boot._check(reader.size)
        boot._check_copy(reader)
        return boot

    @cached_property
    def sector_size(self) -> int:  # noqa: D102
        return int(self.record["bytes_per_sector"])

    @cached_property
    def cluster_size(self) -> int:
        """Up to 128 sectors are given as a number, more as a negative power of two."""
        sectors = int(self.record["sectors_per_cluster"])
        return self.sector_size * (sectors if sectors <= 128 else 1 << min(256 - sectors, 32))

    @cached_property
    def clusters(self) -> int:  # noqa: D102
        return int(self.record["sectors"]) * self.sector_size // self.cluster_size

    @cached_property
    def record_size(self) -> int:
        """Of each record of the file table."""
        return self._in_clusters("record_size")

    @cached_property
    def copy_at(self) -> int:
        """Where the copy of the boot sector lies: behind the last sector that counts."""
        return int(self.record["sectors"]) * self.sector_size

    def _in_clusters(self, field: str) -> int:
        value = int(self.record[field])
        return value * self.cluster_size if value > 0 else 1 << min(-value, 32)

    def _check(self, volume_size: int) -> None:
        record = self.record
        record.require("magic", record["magic"] == MAGIC, "not NTFS")
        record.require("end", record["end"] == 0xAA55, "not a boot sector")
        for field in _ZERO:
            record.require(field, record[field] == 0, "it should be 0")
        record.require("bytes_per_sector", self.sector_size in {512, 1024, 2048, 4096}, "sectors are not so large")
        record.require("sectors_per_cluster", record["sectors_per_cluster"] > 0, "clusters have sectors")
        size = self.cluster_size
        sane = size & size - 1 == 0 and size <= _LARGEST_CLUSTER
        record.require("sectors_per_cluster", sane, f"a power of two, up to {_LARGEST_CLUSTER} bytes")
        record.require("sectors", self.clusters > 0, "there are no clusters")
        record.require("sectors", self.copy_at <= volume_size, f"the volume has only {volume_size} bytes")
        for field in ("mft", "mirror"):
            record.require(field, 0 < record[field] < self.clusters, f"there are {self.clusters} clusters")
        for field in ("record_size", "index_size"):
            size = self._in_clusters(field)
            sane = _RECORDS[0] <= size <= _RECORDS[1] and size & size - 1 == 0
            record.require(field, sane, f"that would be {size} bytes")

    def _check_copy(self, reader: Reader) -> None:
        if self.copy_at + LAYOUT.size > reader.size:
            return
        copy = LAYOUT.read(reader, self.copy_at)
        if copy["magic"] == MAGIC:  # else there is none: older systems kept it elsewhere
            for field in _GEOMETRY:
                copy.require(field, copy[field] == self.record[field], f"not {self.record[field]}, as in the first one")
