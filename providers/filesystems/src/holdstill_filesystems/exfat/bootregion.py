"""The boot region of an exFAT volume, its checksum and its copy: what it is, and where everything lies.

Source: Microsoft exFAT file system specification, section 3.
"""

from __future__ import annotations

from functools import cached_property
from typing import Final

import attrs

from holdstill.errors import StructureFault
from holdstill.spi.reader import Reader
from holdstill_filesystems.fields import Layout, Record

#: bits of ``flags``
_SECOND_FAT, _DIRTY, _MEDIA_FAILURE, _CLEAR_TO_ZERO = 1, 2, 4, 8
#: sectors of a boot region under the checksum, and where the copy begins
_CHECKED: Final = 11
_COPY: Final = 12
#: bytes that may change without the checksum: ``flags`` and ``percent_in_use``
_UNCHECKED: Final = (106, 107, 112)

LAYOUT: Final = Layout(
    "boot sector",
    512,
    "<",
    "Microsoft exFAT file system specification, table 4",
    (
        ("name", 3, "8s"),
        ("must_be_zero", 11, "53s"),
        ("volume_length", 72, "Q"),
        ("fat_offset", 80, "I"),
        ("fat_length", 84, "I"),
        ("heap_offset", 88, "I"),
        ("cluster_count", 92, "I"),
        ("root_cluster", 96, "I"),
        ("revision", 104, "H"),
        ("flags", 106, "H"),
        ("sector_shift", 108, "B"),
        ("cluster_shift", 109, "B"),
        ("fats", 110, "B"),
        ("signature", 510, "H"),
    ),
)


@attrs.frozen(slots=False)  # slots would leave cached_property nowhere to keep its value
class BootRegion:
    """A boot region that passes its checksum and agrees with the size of the volume. Sizes in bytes."""

    record: Record

    @classmethod
    def read(cls, reader: Reader) -> BootRegion:
        """Raises ``StructureFault`` for everything that is not an exFAT volume this reader knows."""
        boot = cls(LAYOUT.read(reader, 0))
        boot._check_units()
        boot._check_places(reader.size)
        boot._check_sums(reader)
        return boot

    @cached_property
    def sector_size(self) -> int:  # noqa: D102
        return int(1 << self.record["sector_shift"])

    @cached_property
    def cluster_size(self) -> int:  # noqa: D102
        return self.sector_size << int(self.record["cluster_shift"])

    @cached_property
    def clusters(self) -> int:
        """How many clusters there are; their numbers begin with 2."""
        return int(self.record["cluster_count"])

    @cached_property
    def table_start(self) -> int:
        """Where the table of following clusters begins."""
        return int(self.record["fat_offset"]) * self.sector_size

    @cached_property
    def data_start(self) -> int:
        """Where cluster 2, the first one, begins."""
        return int(self.record["heap_offset"]) * self.sector_size

    @cached_property
    def data_end(self) -> int:
        """Where the last cluster ends."""
        return self.data_start + self.clusters * self.cluster_size

    @cached_property
    def size(self) -> int:
        """Where the file system ends."""
        return int(self.record["volume_length"]) * self.sector_size

    def place(self, cluster: int) -> int:
        """Where a cluster begins."""
        return self.data_start + (cluster - 2) * self.cluster_size

    # --- checks ---------------------------------------------------------------------------------

    def _check_units(self) -> None:
        record = self.record
        record.require("name", record["name"] == b"EXFAT   ", "not an exFAT volume")
        record.require("signature", record["signature"] == 0xAA55, "not a boot sector")
        record.require("must_be_zero", not any(record["must_be_zero"]), "it should be zero")
        record.require("revision", record["revision"] == 0x0100, "an unknown revision")
        record.require("sector_shift", 9 <= record["sector_shift"] <= 12, "sectors have 512 to 4096 bytes")
        sane = record["sector_shift"] + record["cluster_shift"] <= 25
        record.require("cluster_shift", sane, "clusters have at most 32 MiB")
        record.require("fats", record["fats"] == 1, "a second table comes with a second bitmap, which is not known")
        known = _SECOND_FAT | _DIRTY | _MEDIA_FAILURE | _CLEAR_TO_ZERO
        record.require("flags", not record["flags"] & ~known, "an unknown flag")
        record.require("flags", not record["flags"] & _SECOND_FAT, "there is no second table")

    def _check_places(self, volume_size: int) -> None:
        record = self.record
        fits = self.size <= volume_size
        record.require(
            "volume_length", fits, f"the file system has {self.size} bytes, but the volume only {volume_size}"
        )
        record.require("cluster_count", 0 < self.clusters <= 0xFFFFFFF5, "clusters have numbers from 2 to 0xfffffff6")
        record.require("fat_offset", record["fat_offset"] >= 2 * _COPY, "it should lie behind both boot regions")
        roomy = (self.clusters + 2) * 4 <= record["fat_length"] * self.sector_size
        record.require("fat_length", roomy, f"the table has no room for {self.clusters} clusters")
        ordered = record["fat_offset"] + record["fat_length"] <= record["heap_offset"]
        record.require("heap_offset", ordered, "the clusters should lie behind the table")
        record.require("cluster_count", self.data_end <= self.size, "the last cluster ends behind the volume")
        record.require("root_cluster", 2 <= record["root_cluster"] < self.clusters + 2, "there is no such cluster")

    def _check_sums(self, reader: Reader) -> None:
        length = (_CHECKED + 1) * self.sector_size
        main, copy = bytearray(reader.read(0, length)), bytearray(reader.read(_COPY * self.sector_size, length))
        for region in (main, copy):
            for at in _UNCHECKED:
                region[at] = 0
        summed = main[: _CHECKED * self.sector_size]
        computed = boot_checksum(summed).to_bytes(4, "little")
        if main[_CHECKED * self.sector_size :] != computed * (self.sector_size // 4):
            raise StructureFault("the boot region does not fit its checksum")
        if main != copy:
            raise StructureFault("the backup of the boot region differs from the boot region")

    def distrust(self) -> str | None:
        """Why its bitmap may not tell the truth (a sentence), or None."""
        if self.record["flags"] & _DIRTY:
            return "it was not unmounted cleanly: its bitmap may lack what was written last"
        if self.record["flags"] & _MEDIA_FAILURE:
            return "it is marked as having met errors: its bitmap cannot be trusted before fsck.exfat has run"
        return None


def boot_checksum(region: bytes | bytearray) -> int:
    """The checksum of section 3.4 over eleven sectors; ``flags`` and ``percent_in_use`` are skipped."""
    total = 0
    for byte in region[:106] + region[108:112] + region[113:]:
        total = ((total >> 1 | total << 31) + byte) & 0xFFFFFFFF
    return total
