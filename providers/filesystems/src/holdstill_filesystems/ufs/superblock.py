"""The superblock of UFS1: in which byte order, how large, in how many cylinder groups, and how it was left.

Source: illumos usr/src/uts/common/sys/fs/ufs_fs.h; Linux fs/ufs/super.c for where each machine keeps ``state``.
"""

from __future__ import annotations

from functools import cached_property
from typing import Final

import attrs
import numpy as np
from numpy.typing import NDArray

from holdstill.errors import StructureFault
from holdstill.model.extents import Extents
from holdstill.spi.reader import Reader
from holdstill_filesystems.fields import Layout, Record

OFFSET: Final = 8192
MAGIC: Final = 0x00011954
#: a superblock and its copies take so much at least, and disks are counted in so much, bytes
_SIZE: Final = 1376
_SECTOR: Final = 512
_INODE: Final = 128
#: what ``state`` and ``time`` add up to while ``clean`` can be believed (Solaris)
_OKAY: Final = 0x7C269D38
#: values of ``clean``: unmounted; nothing was being changed (Solaris); has a log (Solaris)
_CLEAN, _STABLE, _LOGGING = 0x01, 0x02, 0xFD
#: the log holds nothing that is not in its place (Solaris)
_ALL_ROLLED: Final = 1
#: bit of ``flags`` by which the BSDs say that the word of flags proper is elsewhere: Solaris never sets it
_BSD: Final = 0x80
#: tables of positions of the kind that every system after 4.2BSD, but HP-UX, makes
_DYNAMIC: Final = 1
#: more groups than this are not kept in memory
_MOST_GROUPS: Final = 1 << 20

_FIELDS: Final = (
    ("rolled", 4, "I"),
    ("sblkno", 8, "I"),
    ("cblkno", 12, "I"),
    ("iblkno", 16, "I"),
    ("dblkno", 20, "I"),
    ("cgoffset", 24, "I"),
    ("cgmask", 28, "I"),
    ("time", 32, "I"),
    ("size", 36, "I"),
    ("ncg", 44, "I"),
    ("bsize", 48, "I"),
    ("fsize", 52, "I"),
    ("frag", 56, "I"),
    ("csaddr", 152, "I"),
    ("cssize", 156, "I"),
    ("cgsize", 160, "I"),
    ("ipg", 184, "I"),
    ("fpg", 188, "I"),
    ("clean", 209, "B"),
    ("flags", 211, "B"),
    ("logbno", 1324, "I"),
    ("postblformat", 1356, "i"),
    ("magic", 1372, "I"),
)
#: where ``state`` is, by byte order: SPARC and x86 have it in each other's place of ``npsect``
_STATE: Final = {">": ("state", 1336, "I"), "<": ("state", 132, "I")}
LAYOUTS: Final = {
    order: Layout("superblock", _SIZE, order, "illumos sys/fs/ufs_fs.h", (*_FIELDS, _STATE[order])) for order in "<>"
}

Numbers = NDArray[np.int64]


@attrs.frozen(slots=False)  # slots would leave cached_property nowhere to keep its value
class Superblock:
    """A superblock whose numbers agree with each other and with the size of the volume.

    Places inside the file system are counted in fragments; sizes are in bytes where not said otherwise.
    """

    record: Record

    @classmethod
    def read(cls, reader: Reader) -> Superblock:
        """Raises ``StructureFault`` for everything that is not a UFS1 this reader knows."""
        for layout in LAYOUTS.values():
            record = layout.read(reader, OFFSET)
            if record["magic"] == MAGIC:
                break
        else:
            raise StructureFault("of the family of UFS, only UFS1 of up to a terabyte is read")
        superblock = cls(record)
        superblock._check_sizes(reader.size)
        superblock._check_groups()
        return superblock

    # --- sizes ----------------------------------------------------------------------------------

    @cached_property
    def order(self) -> str:
        """The byte order, as ``struct`` writes it."""
        return self.record.layout.order

    @cached_property
    def fragment(self) -> int:
        """Bytes in a fragment: what one bit of a map stands for."""
        return int(self.record["fsize"])

    @cached_property
    def size(self) -> int:
        """Where the file system ends."""
        return int(self.record["size"]) * self.fragment

    @cached_property
    def groups(self) -> int:
        """How many cylinder groups there are."""
        return int(self.record["ncg"])

    @cached_property
    def per_group(self) -> int:
        """Fragments in a group; the last one may have fewer."""
        return int(self.record["fpg"])

    def fragments_in(self, groups: Numbers) -> Numbers:
        """How many fragments each of these groups has."""
        found: Numbers = np.minimum(self.record["size"] - groups * self.per_group, self.per_group)
        return found

    def metadata_at(self, groups: Numbers) -> Numbers:
        """Where what belongs to each group is counted from: Solaris moves it on from group to group (``cgstart``)."""
        turns = groups & (~self.record["cgmask"] & 0xFFFFFFFF)
        found: Numbers = groups * self.per_group + self.record["cgoffset"] * turns
        return found

    def metadata(self, groups: Numbers) -> Extents:
        """Copies of the superblock, group descriptors and inodes of these groups, in bytes."""
        start = self.metadata_at(groups) * self.fragment
        first = np.where(groups == 0, 0, start + self.record["sblkno"] * self.fragment)
        return Extents.from_arrays(first, start + self.record["dblkno"] * self.fragment - first)

    def singles(self) -> Extents:
        """What there is once, outside the metadata of groups: the summary of all, the list of the log's pieces."""
        parts = [(int(self.record["csaddr"]) * self.fragment, int(self.record["cssize"]))]
        if self._is_solaris and self.record["logbno"]:
            parts.append((int(self.record["logbno"]) * _SECTOR, int(self.record["bsize"])))
        found = Extents.of(*parts)
        if found.end > self.size:
            raise StructureFault(f"the summary or the log, up to byte {found.end}, lies outside the file system")
        return found

    # --- checks ---------------------------------------------------------------------------------

    def _check_sizes(self, volume_size: int) -> None:
        record = self.record
        block, fragment = record["bsize"], record["fsize"]
        sane = 4096 <= block <= 65536 and block & block - 1 == 0
        record.require("bsize", sane, "blocks have 4 KiB to 64 KiB")
        sane = 512 <= fragment <= block and fragment & fragment - 1 == 0
        record.require("fsize", sane, "a fragment is a power of two, at least 512 bytes")
        record.require("frag", block == fragment * record["frag"] and record["frag"] <= 8, "a block has 1 to 8 of them")
        record.require("postblformat", record["postblformat"] == _DYNAMIC, "groups are of an older kind, or of HP-UX")
        fits = 0 < self.size <= volume_size
        record.require("size", fits, f"the file system has {self.size} bytes, but the volume {volume_size}")

    def _check_groups(self) -> None:
        record = self.record
        fragment, per_group = self.fragment, self.per_group
        sane = 0 < per_group <= 8 * record["bsize"] and per_group % 8 == 0
        record.require("fpg", sane, "it should be a multiple of 8, and a bitmap of a group fill at most a block")
        record.require("ncg", 0 < self.groups <= _MOST_GROUPS, f"at most {_MOST_GROUPS} groups are read")
        counted = -(-record["size"] // per_group)
        record.require("ncg", self.groups == counted, f"so many fragments make {counted} groups")
        record.require("cgsize", 168 < record["cgsize"] <= record["bsize"], "a group descriptor fills at most a block")
        places = [record[name] for name in ("sblkno", "cblkno", "iblkno", "dblkno")]
        record.require("sblkno", places[0] * fragment >= OFFSET, "it lies in the boot area")
        rising = places[0] < places[1] < places[2] < places[3] <= per_group
        record.require("dblkno", rising, "superblock, descriptor, inodes and data do not follow each other in a group")
        roomy = (places[2] - places[1]) * fragment >= record["cgsize"]
        record.require("iblkno", roomy, "there is no room for the group descriptor")
        roomy = (places[3] - places[2]) * fragment >= record["ipg"] * _INODE
        record.require("ipg", roomy, "there is no room for so many inodes")
        groups = np.arange(self.groups)
        reach = self.metadata_at(groups) + places[3] - groups * per_group
        wrong = np.flatnonzero((reach > self.fragments_in(groups)) | (reach < places[3]))
        if wrong.size:
            raise record.fault("cgoffset", f"the metadata of group {int(wrong[0])} would not lie in its group")

    # --- state ----------------------------------------------------------------------------------

    @cached_property
    def _is_solaris(self) -> bool:
        """Does the state vouch for ``clean``, as only Solaris has it?"""
        return bool((self.record["state"] + self.record["time"]) & 0xFFFFFFFF == _OKAY)

    def distrust(self) -> str | None:
        """Why its maps may not tell the truth (a sentence), or None."""
        clean, rolled = self.record["clean"], self.record["rolled"]
        if not self._is_solaris and not self.record["flags"] & _BSD:
            return "nothing vouches for how it was unmounted: its maps cannot be trusted before fsck has run"
        if clean == _CLEAN or (self._is_solaris and clean == _STABLE):
            return None
        if self._is_solaris and clean == _LOGGING:
            return None if rolled == _ALL_ROLLED else "its log holds changes that are not in their places yet"
        return "it was not unmounted cleanly: its maps may lack what was written last"
