"""The superblock of XFS: what the file system is, and the numbers that everything else is found by."""

from __future__ import annotations

from functools import cached_property
from typing import Final

import attrs
import numpy as np

from holdstill.errors import StructureFault
from holdstill.model.extents import Extents
from holdstill.spi.reader import Reader
from holdstill_filesystems.fields import Layout, Record
from holdstill_filesystems.xfs.features import Features2, Incompat, RoCompat, Version, not_understood
from holdstill_filesystems.xfs.sealed import unsealed

MAGIC: Final = 0x58465342
#: more allocation groups than this are not looked at: 16 TiB in groups of the smallest size, 16 MiB
MOST_GROUPS: Final = 1 << 20
_LARGEST_GROUP: Final = 1 << 40
_LARGEST_LOG: Final = 1 << 31

LAYOUT: Final = Layout(
    "superblock",
    264,
    ">",
    "Linux fs/xfs/libxfs/xfs_format.h, struct xfs_dsb",
    (
        ("magic", 0, "I"),
        ("blocksize", 4, "I"),
        ("dblocks", 8, "Q"),
        ("rblocks", 16, "Q"),
        ("uuid", 32, "16s"),
        ("logstart", 48, "Q"),
        ("agblocks", 84, "I"),
        ("agcount", 88, "I"),
        ("logblocks", 96, "I"),
        ("versionnum", 100, "H"),
        ("sectsize", 102, "H"),
        ("fname", 108, "12s"),
        ("agblklog", 124, "B"),
        ("inprogress", 126, "B"),
        ("fdblocks", 144, "Q"),
        ("shared_vn", 179, "B"),
        ("logsectsize", 194, "H"),
        ("logsunit", 196, "I"),
        ("features2", 200, "I"),
        ("bad_features2", 204, "I"),
        ("ro_compat", 212, "I"),
        ("incompat", 216, "I"),
        ("log_incompat", 220, "I"),
        ("crc", 224, "I"),
        ("meta_uuid", 248, "16s"),
    ),
)


@attrs.frozen(slots=False)  # slots would leave cached_property nowhere to keep its value
class Superblock:
    """A superblock whose numbers agree with each other and with the size of the volume. Sizes in bytes."""

    record: Record
    sector: bytes = attrs.field(repr=False)
    """The whole sector that the superblock begins."""

    @classmethod
    def read(cls, reader: Reader) -> Superblock:
        """Raises ``StructureFault`` for everything that is not an XFS this reader knows."""
        record = LAYOUT.read(reader, 0)
        record.require("magic", record["magic"] == MAGIC, "not an XFS")
        _require_power(record, "sectsize", 512, 32768)
        _require_power(record, "blocksize", 512, 65536)
        record.require("sectsize", record["sectsize"] <= record["blocksize"], "larger than a block")
        if reader.size < record["sectsize"]:
            raise StructureFault("the superblock is cut off")
        superblock = cls(record, reader.read(0, record["sectsize"]))
        superblock._check_features()
        superblock._check_sizes(reader.size)
        superblock._check_log()
        return superblock

    # --- what it needs --------------------------------------------------------------------------

    @cached_property
    def version(self) -> int:
        """4 or 5; only 5 has checksums."""
        return int(self.record["versionnum"] & 0xF)

    @property
    def checks(self) -> bool:
        """Does every structure carry a checksum, its own place, and the file system's UUID?"""
        return self.version == 5

    @cached_property
    def _features2(self) -> int:
        """Some hosts once wrote the word into the wrong place, so each of the two counts."""
        if self.record["versionnum"] & Version.MOREBITS:
            return int(self.record["features2"] | self.record["bad_features2"])
        return 0

    @property
    def lazy(self) -> bool:
        """Are the superblock's counters made true by an unmount only, and blocks of trees counted in each group?"""
        return self.checks or bool(self._features2 & Features2.LAZYSBCOUNT)

    def has(self, feature: RoCompat) -> bool:
        """Is the feature of version 5 on?"""
        return self.checks and bool(self.record["ro_compat"] & feature)

    @cached_property
    def uuid(self) -> bytes:
        """What every structure of version 5 carries; another one than the user's, where that was changed."""
        changed = self.checks and self.record["incompat"] & Incompat.META_UUID
        return bytes(self.record["meta_uuid"] if changed else self.record["uuid"])

    def _check_features(self) -> None:
        record = self.record
        record.require("versionnum", self.version in {4, 5}, "only versions 4 and 5 are read")
        if self.checks:
            wrong = unsealed(np.frombuffer(self.sector, dtype=np.uint8)[np.newaxis], LAYOUT.offset_of("crc"))
            record.require("crc", not wrong.size, "the checksum does not fit")
            words = {word: record[word] for word in ("ro_compat", "incompat", "log_incompat")}
        else:
            record.require("versionnum", bool(record["versionnum"] & Version.DIRV2), "directories of version 1")
            words = {"versionnum": record["versionnum"], "features2": self._features2}
        reason = not_understood(**words)
        if reason:
            raise StructureFault(reason)
        record.require("inprogress", record["inprogress"] == 0, "mkfs did not end")
        record.require("shared_vn", record["shared_vn"] == 0, "an unknown way of sharing")

    # --- sizes ----------------------------------------------------------------------------------

    @cached_property
    def block_size(self) -> int:  # noqa: D102
        return int(self.record["blocksize"])

    @cached_property
    def sector_size(self) -> int:
        """What the headers of each allocation group take."""
        return int(self.record["sectsize"])

    @cached_property
    def blocks(self) -> int:  # noqa: D102
        return int(self.record["dblocks"])

    @cached_property
    def size(self) -> int:
        """Where the file system ends."""
        return self.blocks * self.block_size

    @cached_property
    def blocks_per_group(self) -> int:
        """How many blocks each allocation group has, but perhaps the last."""
        return int(self.record["agblocks"])

    @cached_property
    def groups(self) -> int:  # noqa: D102
        return int(self.record["agcount"])

    @cached_property
    def blocks_in_last_group(self) -> int:  # noqa: D102
        return self.blocks - (self.groups - 1) * self.blocks_per_group

    @cached_property
    def header_blocks(self) -> int:
        """How many blocks the four headers at the start of each allocation group take."""
        return -(-4 * self.sector_size // self.block_size)

    def _check_sizes(self, volume_size: int) -> None:
        record = self.record
        per_group, groups = self.blocks_per_group, self.groups
        sane = self.header_blocks < per_group <= _LARGEST_GROUP // self.block_size
        record.require("agblocks", sane, "allocation groups are not so large")
        sane = record["agblklog"] == (per_group - 1).bit_length()
        record.require("agblklog", sane, "it does not fit the size of an allocation group")
        record.require("agcount", 0 < groups <= MOST_GROUPS, f"it should be 1 to {MOST_GROUPS}")
        sane = self.header_blocks < self.blocks_in_last_group <= per_group
        record.require("dblocks", sane, f"it does not fit {groups} allocation groups of {per_group} blocks")
        if self.size > volume_size:
            raise record.fault("dblocks", f"the file system has {self.size} bytes, but the volume only {volume_size}")

    # --- the log --------------------------------------------------------------------------------

    @property
    def has_own_log(self) -> bool:
        """Does the log lie on this volume?"""
        return bool(self.record["logstart"])

    @cached_property
    def log(self) -> Extents:
        """Where the log lies, one run of bytes; empty if on another volume."""
        if not self.has_own_log:
            return Extents.none()
        group, block = divmod(self.record["logstart"], 1 << self.record["agblklog"])
        start = group * self.blocks_per_group + block
        return Extents.of((start * self.block_size, self.record["logblocks"] * self.block_size))

    def _check_log(self) -> None:
        record = self.record
        if not self.has_own_log:
            return
        group, block = divmod(record["logstart"], 1 << record["agblklog"])
        in_group = self.blocks_in_last_group if group == self.groups - 1 else self.blocks_per_group
        record.require("logstart", group < self.groups and block >= self.header_blocks, "no log can lie there")
        record.require("logblocks", 0 < record["logblocks"] <= in_group - block, "it leaves its allocation group")
        fits = record["logblocks"] * self.block_size <= _LARGEST_LOG
        record.require("logblocks", fits, "logs are not so large")

    @property
    def long_records(self) -> bool:
        """May a record of the log be longer than 32 KiB (version 2)?"""
        return self.checks or bool(self.record["versionnum"] & Version.LOGV2)


def _require_power(record: Record, field: str, least: int, most: int) -> None:
    value = record[field]
    sane = least <= value <= most and value & value - 1 == 0
    record.require(field, sane, f"it should be a power of two, {least} to {most}")
