"""The superblock of Btrfs: what the file system is, where its two first trees begin, and the device it is on."""

from __future__ import annotations

from functools import cached_property
from typing import Final

import attrs
import numpy as np

from holdstill.errors import StructureFault, VolumeUnusable
from holdstill.model.extents import LIMIT, Extents
from holdstill.spi.reader import Reader
from holdstill_filesystems.btrfs.checksums import KINDS, fits
from holdstill_filesystems.btrfs.features import Incompat, RoCompat, distrust, not_understood
from holdstill_filesystems.fields import Layout, Record

MAGIC: Final = b"_BHRfS_M"
SIZE: Final = 4096
#: the superblock and its copies, as far as the device reaches, bytes
PLACES: Final = (64 << 10, 64 << 20, 256 << 30)
#: nothing is allocated before this; boot loaders use it (Linux fs/btrfs/fs.h, BTRFS_DEVICE_RANGE_RESERVED), bytes
RESERVED: Final = 1 << 20
#: trees are at most so many levels high (BTRFS_MAX_LEVEL)
LEVELS: Final = 8

LAYOUT: Final = Layout(
    "superblock",
    SIZE,
    "<",
    "Linux fs/btrfs/fs.h, struct btrfs_super_block",
    (
        ("fsid", 32, "16s"),
        ("bytenr", 48, "Q"),
        ("flags", 56, "Q"),
        ("magic", 64, "8s"),
        ("generation", 72, "Q"),
        ("root", 80, "Q"),
        ("chunk_root", 88, "Q"),
        ("log_root", 96, "Q"),
        ("bytes_used", 120, "Q"),
        ("num_devices", 136, "Q"),
        ("sectorsize", 144, "I"),
        ("nodesize", 148, "I"),
        ("sys_chunk_array_size", 160, "I"),
        ("chunk_root_generation", 164, "Q"),
        ("compat_ro_flags", 180, "Q"),
        ("incompat_flags", 188, "Q"),
        ("csum_type", 196, "H"),
        ("root_level", 198, "B"),
        ("chunk_root_level", 199, "B"),
        ("device_id", 201, "Q"),
        ("device_total_bytes", 209, "Q"),
        ("device_uuid", 267, "16s"),
        ("device_fsid", 283, "16s"),
        ("metadata_uuid", 571, "16s"),
        ("sys_chunk_array", 811, "2048s"),
    ),
)


@attrs.frozen(slots=False)  # slots would leave cached_property nowhere to keep its value
class Superblock:
    """A superblock whose numbers agree with each other and with the size of the volume. Sizes in bytes."""

    record: Record

    @classmethod
    def read(cls, reader: Reader) -> Superblock:
        """Raises ``StructureFault`` for everything that is not one whole file system this reader knows."""
        superblock = cls(LAYOUT.read(reader, PLACES[0]))
        superblock._check_identity()
        superblock._check_features()
        superblock._check_numbers(reader.size)
        superblock._check_copies(reader)
        return superblock

    # --- what it says ---------------------------------------------------------------------------

    @property
    def sector_size(self) -> int:
        """What data is allocated in."""
        return int(self.record["sectorsize"])

    @property
    def node_size(self) -> int:
        """How long every tree block is."""
        return int(self.record["nodesize"])

    @property
    def checksum_kind(self) -> int:  # noqa: D102
        return int(self.record["csum_type"])

    @property
    def generation(self) -> int:
        """The number of the last transaction; nothing can be younger."""
        return int(self.record["generation"])

    @property
    def size(self) -> int:
        """Where the file system ends on this device."""
        return int(self.record["device_total_bytes"])

    @cached_property
    def tree_fsid(self) -> bytes:
        """The UUID in every tree block; the one users see can be changed without writing all of these anew."""
        changed = self.record["incompat_flags"] & Incompat.METADATA_UUID
        return bytes(self.record["metadata_uuid" if changed else "fsid"])

    def has(self, feature: RoCompat) -> bool:
        """Is the feature on?"""
        return bool(self.record["compat_ro_flags"] & feature)

    def fixed(self, volume_size: int) -> Extents:
        """What is used and in no tree: everything before the first chunk, and the copies of the superblock."""
        copies = [(place, SIZE) for place in PLACES if place + SIZE <= volume_size]
        return Extents.of((0, min(RESERVED, volume_size)), *copies)

    # --- checks ---------------------------------------------------------------------------------

    def _check_identity(self) -> None:
        record = self.record
        record.require("magic", record["magic"] == MAGIC, "not a Btrfs file system")
        record.require("csum_type", record["csum_type"] in KINDS, "an unknown kind of checksum")
        if not _sound(record):
            raise StructureFault("the superblock does not fit its checksum")
        record.require("bytenr", record["bytenr"] == PLACES[0], "it belongs elsewhere")

    def _check_features(self) -> None:
        record = self.record
        reason = not_understood(record["incompat_flags"], record["compat_ro_flags"]) or distrust(record["flags"])
        if reason:
            raise StructureFault(reason)
        if record["num_devices"] != 1:
            raise VolumeUnusable(
                f"it is one of {record['num_devices']} devices of a Btrfs file system, and useless alone: "
                "only images of all of them, taken at one instant, can be restored together",
                next_step="while nothing writes to it, image each of its devices whole, with --gap-size 0",
            )
        record.require("device_id", record["device_id"] != 0, "this device was about to replace another one")
        if record["log_root"]:
            raise StructureFault("it has a log of what was flushed since the last commit, in which blocks are used too")

    def _check_numbers(self, volume_size: int) -> None:
        record = self.record
        sector, node = self.sector_size, self.node_size
        record.require("sectorsize", sector in {4096 << shift for shift in range(5)}, "sectors are 4 KiB to 64 KiB")
        sane = node in {4096 << shift for shift in range(5)} and node >= sector
        record.require("nodesize", sane, "tree blocks are 4 KiB to 64 KiB, and not shorter than sectors")
        record.require("root_level", record["root_level"] < LEVELS, "no tree is so high")
        record.require("chunk_root_level", record["chunk_root_level"] < LEVELS, "no tree is so high")
        sane = record["chunk_root_generation"] <= self.generation
        record.require("chunk_root_generation", sane, "younger than the superblock")
        record.require("sys_chunk_array_size", record["sys_chunk_array_size"] <= 2048, "longer than its room")
        record.require("device_fsid", record["device_fsid"] == self.tree_fsid, "the device belongs elsewhere")
        if not RESERVED <= self.size <= min(volume_size, LIMIT):
            raise record.fault("device_total_bytes", f"the file system has {self.size} bytes, the volume {volume_size}")

    def _check_copies(self, reader: Reader) -> None:
        """An older copy is left by a crash, a foreign one by an earlier file system; a newer one should not be."""
        for place in PLACES[1:]:
            if place + SIZE > self.size:
                continue
            copy = LAYOUT.read(reader, place)
            related = copy["magic"] == MAGIC and copy["fsid"] == self.record["fsid"] and copy["bytenr"] == place
            if related and copy["generation"] > self.generation and copy["csum_type"] in KINDS and _sound(copy):
                raise copy.fault("generation", f"newer than the first superblock's, {self.generation}")


def _sound(record: Record) -> bool:
    row = np.frombuffer(record.data, dtype=np.uint8).reshape(1, -1)
    return bool(fits(record["csum_type"], row)[0])
