"""What the kernel says of the blocks of a file system that is mounted: GETFSMAP.

Source: Linux include/uapi/linux/fsmap.h, ioctl_getfsmap(2). ext4 and XFS answer, each from what it has in memory.
"""

from __future__ import annotations

import array
import fcntl
import os
import struct
from typing import Final

import numpy as np
from numpy.typing import NDArray

from holdstill.errors import StructureFault
from holdstill.model.extents import Extents
from holdstill.model.image import Audit

#: _IOWR('X', 59, struct fsmap_head)
_GETFSMAP: Final = 0xC0C0583B
_RECORDS: Final = 256
#: how often one range is asked about; what is fragmented further is not looked at to its end
_MOST: Final = 64
#: fmr_flags: the owner is a number of its own kind; those numbers for what is free, and for what is not (fsmap.h
#: FMR_OWN_FREE, FMR_OWN_UNKNOWN)
_SPECIAL, _FREE, _UNKNOWN = 0x10, 1, 2
#: what calls in use only what is: ext4 counts room that it keeps in memory for files to come (fs/ext4/mballoc.c,
#: preallocation), which no block on the disk knows of, and does not say so
_EXACT: Final = ("xfs",)
#: fmh_iflags, fmh_oflags, fmh_count, fmh_entries; the two keys follow reserved words
_HEAD: Final = struct.Struct("=IIII48x")
_KEY: Final = struct.Struct("=IIQQQQ24x")
_RECORD: Final = np.dtype(
    {
        "names": ["flags", "physical", "owner", "length"],
        "formats": ["u4", "u8", "u8", "u8"],
        "offsets": [4, 8, 16, 32],
        "itemsize": _KEY.size,
    }
)
_ALL: Final = (1 << 64) - 1

Mappings = NDArray[np.void]


def audit(mount: int, filesystem: str, unused: Extents, by: str) -> Audit | None:
    """Whether the ``filesystem`` at the open directory ``mount`` has nothing in these bytes of its device.

    None where it cannot say. Raises ``StructureFault`` for bytes that are in use; of ext4, for metadata only, while
    what may be kept free for a file is not confirmed, and no more. Bytes outside the file system are neither. ``by``
    says who was asked, and why that is the same instant.
    """
    believed = filesystem in _EXACT
    ranges = size = 0
    for start, length in unused:
        try:
            confirmed = _confirmed(mount, start, start + length, believed)
        except OSError:
            return None
        ranges += confirmed > 0
        size += confirmed
    return Audit(by, ranges, size) if size else None


def _confirmed(mount: int, start: int, end: int, believed: bool) -> int:  # noqa: FBT001
    """How many bytes of the range are known to be free. Raises ``StructureFault`` if one is in use, or ``OSError``."""
    at, confirmed = start, 0
    for _ in range(_MOST):
        found = _mappings(mount, at, end)
        if not found.size:
            break
        first = np.maximum(found["physical"].astype(np.int64), start)
        past = np.minimum((found["physical"] + found["length"]).astype(np.int64), end)
        free = (found["flags"] & _SPECIAL != 0) & (found["owner"] == _FREE)
        perhaps = (found["flags"] & _SPECIAL != 0) & (found["owner"] == _UNKNOWN) & (not believed)
        used = np.flatnonzero((past > first) & ~free & ~perhaps)
        if used.size:
            raise StructureFault(f"it calls byte {int(first[used[0]])} unused, where the kernel says that something is")
        confirmed += int(np.maximum(past - np.maximum(first, at), 0)[free].sum())
        if int(past[-1]) <= at or int(past[-1]) >= end:
            break
        at = int(past[-1])
    return confirmed


def _mappings(mount: int, start: int, end: int) -> Mappings:
    """What there is between these bytes of the device, in ascending order, up to so many. Raises ``OSError``."""
    number = os.fstat(mount).st_dev
    device = os.minor(number) & 0xFF | os.major(number) << 8 | (os.minor(number) & ~0xFF) << 12
    room = array.array("B", bytes(_HEAD.size + (2 + _RECORDS) * _KEY.size))
    _HEAD.pack_into(room, 0, 0, 0, _RECORDS, 0)
    _KEY.pack_into(room, _HEAD.size, device, 0, start, 0, 0, 0)
    _KEY.pack_into(room, _HEAD.size + _KEY.size, device, 0xFFFFFFFF, end - 1, _ALL, _ALL, 0)
    fcntl.ioctl(mount, _GETFSMAP, room)
    entries = _HEAD.unpack_from(room)[3]
    return np.frombuffer(room, _RECORD, min(entries, _RECORDS), _HEAD.size + 2 * _KEY.size)
