"""The superblock of JFS or JFS2, its copy, and whether the file system and its log were left in order."""

from __future__ import annotations

from functools import cached_property
from typing import Final

import attrs

from holdstill.errors import StructureFault
from holdstill.model.extents import Extents
from holdstill.spi.reader import Reader
from holdstill_filesystems.fields import Layout, Record
from holdstill_filesystems.jfs import allocation, xtree
from holdstill_filesystems.jfs.format import Format
from holdstill_filesystems.jfs.xtree import Pxd

#: bytes; both are fixed, whatever the block size (jfs_filsys.h)
PRIMARY: Final = 0x8000
SECONDARY: Final = 0xF000
#: where the aggregate inode table begins, and how far the fixed structures reach, bytes
INODE_TABLE: Final = 0xB000
FIXED: Final = 0x10000
#: a block's address has 40 bits
_MOST_BLOCKS: Final = 1 << 40
_MOST_GROUPS: Final = 128
_SMALLEST_GROUP: Final = 1 << 13

_INLINE_LOG: Final = 0x800
_BAD_SECONDARY_TABLE: Final = 0x10000
#: what of ``flag`` changes nothing in how blocks are allocated: what to do on errors, quotas, commits, directory
#: indices, who
#: made it (jfs_filsys.h)
_KNOWN_FLAGS: Final = 0x502F0FFF
STATES: Final = {
    1: "it is mounted, or was not unmounted cleanly: its log must be replayed first",
    2: "it is marked as damaged: fsck must run first",
    4: "its log could not be replayed: fsck must run first",
    8: "it was being extended",
}

LAYOUT: Final = Layout(
    "superblock",
    184,
    "<",
    "Linux fs/jfs/jfs_superblock.h",
    (
        ("magic", 0, "4s"),
        ("version", 4, "I"),
        ("size", 8, "Q"),
        ("bsize", 16, "I"),
        ("l2bsize", 20, "H"),
        ("l2bfactor", 22, "H"),
        ("pbsize", 24, "I"),
        ("l2pbsize", 28, "H"),
        ("agsize", 32, "I"),
        ("flag", 36, "I"),
        ("state", 40, "I"),
        ("compress", 44, "I"),
        ("ait2", 48, "2I"),
        ("aim2", 56, "2I"),
        ("logpxd", 72, "2I"),
        ("fsckpxd", 80, "2I"),
    ),
)
#: what the copy must agree in. Linux does not write the copy when it extends a file system (jfs_extendfs marks the
#: wrong buffer),
#: so size, log and work area are only those of the first one
_COPIED: Final = ("magic", "bsize", "l2bsize", "pbsize", "l2pbsize", "agsize", "compress", "ait2", "aim2")

LOG: Final = Layout(
    "log superblock",
    36,
    "<",
    "Linux fs/jfs/jfs_logmgr.h",
    (
        ("magic", 0, "I"),
        ("version", 4, "I"),
        ("size", 12, "I"),
        ("bsize", 16, "I"),
        ("l2bsize", 20, "I"),
        ("state", 28, "I"),
    ),
)
_LOG_MAGIC: Final = 0x87654321
#: a log's first page is unused; the second holds its superblock
_LOG_PAGE: Final = 4096
_LOG_REDONE: Final = 1

JFS: Final = Format(
    magic=b"JFS1",
    block_sizes=(4096,),  # Linux mounts no other size (jfs_mount.c)
    superblock=LAYOUT,
    copied=_COPIED,
    copies=("ait2", "aim2"),
    inode=xtree.INODE,
    page=xtree.PAGE,
    control=allocation.CONTROL,
    bitmap=allocation.BITMAP,
    tree=allocation.TREE,
    known_flags=_KNOWN_FLAGS,
    orderly=frozenset({0}),
    states=STATES,
    log=LOG,
)


@attrs.frozen(slots=False)  # slots would leave cached_property nowhere to keep its value
class Superblock:
    """A superblock whose numbers agree with each other, with its copy, and with the size of the volume."""

    record: Record
    form: Format

    @classmethod
    def read(cls, reader: Reader, form: Format = JFS) -> Superblock:
        """Raises ``StructureFault`` for everything that is not a sound one of this format, left in order."""
        superblock = cls(form.superblock.read(reader, PRIMARY), form)
        superblock._check_sizes(reader.size)
        superblock._check_flags()
        superblock._check_places(reader.size)
        superblock._check_copy(form.superblock.read(reader, SECONDARY))
        superblock._check_left_in_order(reader)
        return superblock

    # --- what it says ---------------------------------------------------------------------------

    @cached_property
    def block_size(self) -> int:
        """Bytes."""
        return int(self.record["bsize"])

    @cached_property
    def blocks(self) -> int:
        """How many blocks the block map speaks of."""
        return int(self.record["size"]) * int(self.record["pbsize"]) // self.block_size

    @cached_property
    def log(self) -> Pxd | None:
        """The log in this volume; None if it lies on another device."""
        return self._extent("logpxd") if self.record["flag"] & _INLINE_LOG else None

    @cached_property
    def end(self) -> int:
        """Where all that belongs to it ends, bytes: the work area of fsck and the log lie behind what the map speaks
        of.
        """
        return max(self.blocks, *(extent.end for extent in self._behind)) * self.block_size

    @cached_property
    def secondary_inode_table(self) -> Pxd | None:
        """The copy of the aggregate inode table, unless it is known to be bad."""
        return None if self.record["flag"] & _BAD_SECONDARY_TABLE else self._extent("ait2")

    @cached_property
    def fixed(self) -> Extents:
        """What is in use whatever the map says: the boot area, superblocks, inode map and table, and the copies of
        these.
        """
        size = self.block_size
        copies = [self._extent(name) for name in self.form.copies]
        return Extents.of((0, FIXED), *((copy.address * size, copy.length * size) for copy in copies))

    @cached_property
    def _behind(self) -> list[Pxd]:
        work_area = self._extent("fsckpxd")
        return [work_area, self.log] if self.log else [work_area]

    def _extent(self, name: str) -> Pxd:
        return Pxd.of(self.record[name], self.form.order)

    # --- what it needs --------------------------------------------------------------------------

    def _check_sizes(self, volume_size: int) -> None:
        record = self.record
        record.require("magic", record["magic"] == self.form.magic, "another kind of file system")
        record.require("version", record["version"] in {1, 2}, "an unknown version")
        sizes = " or ".join(map(str, self.form.block_sizes))
        record.require("bsize", record["bsize"] in self.form.block_sizes, f"blocks have {sizes} bytes")
        size = self.block_size
        record.require("l2bsize", record["l2bsize"] == size.bit_length() - 1, "it does not fit the block size")
        sane = 9 <= record["l2pbsize"] <= record["l2bsize"]
        record.require("l2pbsize", sane, "sectors have 512 bytes to a block")
        record.require("pbsize", record["pbsize"] == 1 << record["l2pbsize"], "it is not the power it should be")
        fits = record["l2bfactor"] == record["l2bsize"] - record["l2pbsize"]
        record.require("l2bfactor", fits, "it does not fit the sizes")
        record.require("size", record["size"] * record["pbsize"] % size == 0, "not a number of whole blocks")
        record.require("size", FIXED // size < self.blocks < _MOST_BLOCKS, "there cannot be so many")
        if self.blocks * size > volume_size:
            raise record.fault("size", f"that is {self.blocks * size} bytes, but the volume has only {volume_size}")
        agsize = record["agsize"]
        record.require("agsize", agsize >= _SMALLEST_GROUP and agsize & agsize - 1 == 0, "groups are not so large")
        record.require("agsize", -(-self.blocks // agsize) <= _MOST_GROUPS, f"there would be more than {_MOST_GROUPS}")

    def _check_flags(self) -> None:
        record = self.record
        unknown = record["flag"] & ~self.form.known_flags
        record.require("flag", not unknown, f"0x{unknown:x} is not known")
        if "compress" in self.form.copied:
            record.require("compress", record["compress"] == 0, "compression is not known")

    def _check_places(self, volume_size: int) -> None:
        size = self.block_size
        for name in self.form.copies:
            copy = self._extent(name)
            inside = copy.length > 0 and copy.address * size >= FIXED and copy.end <= self.blocks
            self.record.require(name, inside, "it does not lie among the blocks")
        for name, extent in zip(("fsckpxd", "logpxd"), self._behind, strict=False):
            behind = extent.length > 0 and self.blocks <= extent.address and extent.end * size <= volume_size
            self.record.require(name, behind, "it does not lie between the last block of the map and the volume's end")

    def _check_copy(self, copy: Record) -> None:
        for name in self.form.copied:
            copy.require(name, copy[name] == self.record[name], f"the first superblock says {self.record[name]}")
        differs = (copy["flag"] ^ self.record["flag"]) & _INLINE_LOG
        copy.require("flag", not differs, "only one superblock says that the log is in this volume")

    def _check_left_in_order(self, reader: Reader) -> None:
        state = self.record["state"]
        if state not in self.form.orderly:
            raise StructureFault(self.form.states.get(state, f"its state is {state}: fsck must run first"))
        if self.log is None or self.form.log is None:
            return
        log = self.form.log.read(reader, self.log.address * self.block_size + _LOG_PAGE)
        log.require("magic", log["magic"] == _LOG_MAGIC, "not a log")
        log.require("version", log["version"] == 1, "an unknown version")
        fits = log["bsize"] == self.block_size and log["size"] * _LOG_PAGE == self.log.length * self.block_size
        log.require("size", fits, f"the superblock gives it {self.log.length} blocks")
        log.require("state", log["state"] == _LOG_REDONE, "the log was not closed and must be replayed first")
