"""What the kernel of AIX says has moved: ``fscntl(EXTENTINFO)``. **No real host has proven this**: it is known from the
headers j2/j2_cntl.h and j2_snapshot.h, and nobody asks unless somebody allowed it (``jfs2.extents=fscntl``).

All that can be wrong is looked for: extents that do not ascend, that lie outside, that were never written, an answer
that did not come into the buffer it was asked into. Any of it ends the still.
"""

from __future__ import annotations

import struct
from typing import Final

import attrs

from holdstill.errors import VolumeUnusable
from holdstill.spi.reader import Reader
from holdstill_jfs2.commands import Kept
from holdstill_jfs2.moved import kernel
from holdstill_jfs2.moved.moves import Move, Moves

#: j2_cntl.h: FSCNTL_EXTENTINFO and its kinds
EXTENTINFO: Final = 0xF
SNAPINFO, SNAPEXTS = 1, 2
#: j2_cntl.h, snapshot_t: flags; a device, or the inode of whose directory; length of the name; the name (PATH_MAX)
SNAPSHOT: Final = struct.Struct("=iiQh1024s6x")
SNAPFILE, SNAPDEV = 1, 2
#: extentInfo_t: kind, number of extents, snapshot_t, and a pointer to the extents or the size of the store's blocks
HEAD: Final = struct.Struct(f"=Ii{SNAPSHOT.size}sQ")
#: extent_t: status, reserved, offset, length, address; all in blocks
EXTENT: Final = struct.Struct("=IIQQQ")
_NEVER_WRITTEN: Final = 1
#: so many extents are asked for at once
BATCH: Final = 4096
#: so often the list is read anew when its parts do not fit together
_SCANS: Final = 100
#: a file system of 16 TiB has not more blocks than this
_MOST: Final = 1 << 36
#: what the buffer is full of before the kernel writes to it
_UNTOUCHED: Final = 0xEE
_UNTOUCHED_WORD: Final = 0xEEEEEEEE


def ask_of(place: str, made: Kept, block: int, size: int, store: Reader) -> Moves:
    """Who knows the moves of a snapshot of the file system at ``place``, of ``size`` bytes in blocks of ``block``.

    Raises ``VolumeUnusable`` if the kernel answers something else than its headers say.
    """
    vfs = kernel.vfs_of(place)
    if made.internal:
        snapshot = SNAPSHOT.pack(SNAPFILE, 0, kernel.inode_of(place), len(made.name), made.name.encode())
    else:
        device = f"/dev/{made.name}"
        snapshot = SNAPSHOT.pack(SNAPDEV, 0, kernel.device_of(device), len(device), device.encode())
    power = _info(vfs, snapshot)[1]
    if not 9 <= power <= 16:
        raise VolumeUnusable(f"the kernel says that blocks of the snapshot have 2^{power} bytes", subject=place)
    return KernelMoves(vfs, snapshot, block, size, 1 << power, store.size, place)


def _info(vfs: int, snapshot: bytes) -> tuple[int, int]:
    """How many extents are in the snapshot, and how large the blocks of its volume are, as a power of two."""
    head = bytearray(HEAD.pack(SNAPINFO, 0, snapshot, 0))
    kernel.extentinfo(vfs, EXTENTINFO, head, bytearray())
    return HEAD.unpack(head)[1], struct.unpack_from("=i", head, HEAD.size - 8)[0]


@attrs.frozen
class KernelMoves(Moves):
    """Bytes. Every question goes through all extents from the first: whether the kernel would answer a question about
    the middle of one with that one, nothing says.
    """

    vfs: int
    snapshot: bytes
    block: int
    size: int
    unit: int
    """Of an address in the store."""
    store: int
    place: str

    def within(self, start: int, end: int) -> list[Move]:
        """See ``Moves``."""
        for _ in range(_SCANS):
            found = self._listed(start, end)
            if found is not None:
                return found
        raise self._odd("another list each time it is asked for the rest of it")

    def _listed(self, start: int, end: int) -> list[Move] | None:
        """None: extents grew together while the list was read part by part, and some may have been missed.

        Each part begins with the last extent of the one before. Where that still begins at the same block, whatever
        had moved behind it is in this part, also if it has grown together with it since.
        """
        found: list[Move] = []
        last: int | None = None
        while True:
            part = self._from(last or 0)
            if last is not None and (not part or part[0][0] != last):
                return None
            if last is not None and found and found[-1].offset == last * self.block:
                found.pop()
            reached = last or 0
            for offset, length, address in part:
                if offset < reached or (offset + length) * self.block > self.size:
                    raise self._odd(f"an extent of {length} blocks at block {offset}, after block {reached}")
                if address * self.unit + length * self.block > self.store:
                    raise self._odd(f"an extent that lies at {address} of the snapshot, outside of it")
                reached = offset + length
                if offset * self.block < end and reached * self.block > start:
                    found.append(Move(offset * self.block, length * self.block, address * self.unit))
            if len(part) < BATCH or part[-1][0] * self.block >= end or part[-1][0] == last:
                return found
            last = part[-1][0]

    def _from(self, reached: int) -> list[tuple[int, int, int]]:
        """At most ``BATCH`` extents from this block on: offset, length, address. Fewer: these were the last."""
        extents = bytearray([_UNTOUCHED]) * (BATCH * EXTENT.size)
        EXTENT.pack_into(extents, 0, _UNTOUCHED_WORD, _UNTOUCHED_WORD, reached, 0, 0)
        backed = _info(self.vfs, self.snapshot)[0] if reached == 0 else 0
        head = bytearray(HEAD.pack(SNAPEXTS, BATCH, self.snapshot, 0))
        kernel.extentinfo(self.vfs, EXTENTINFO, head, extents)
        count = HEAD.unpack(head)[1]
        if not 0 <= count <= BATCH:
            raise self._odd(f"{count} extents, where {BATCH} were asked for")
        if count and EXTENT.unpack_from(extents)[0] == _UNTOUCHED_WORD:
            raise self._odd(f"{count} extents, and none of them in the buffer")
        found = []
        for number in range(count):
            status, _, offset, length, address = EXTENT.unpack_from(extents, number * EXTENT.size)
            if length == 0:
                break
            if max(offset, length, address) > _MOST or status & _NEVER_WRITTEN:
                raise self._odd(f"extent {number}: status {status:x}, {length} blocks at {offset}, address {address}")
            found.append((offset, length, address))
        if backed and not found:
            raise self._odd(f"that {backed} extents have moved, and none of them")
        return found

    def _odd(self, what: str) -> VolumeUnusable:
        return VolumeUnusable(f"the kernel said what cannot be: {what}", subject=self.place)
