"""The block-device ioctls, as numbers and as calls. Every call takes an open descriptor and raises ``OSError``."""

from __future__ import annotations

import fcntl
import struct
from typing import Final

import attrs

# include/uapi/linux/fs.h: _IO(0x12, n), and BLKGETSIZE64 = _IOR(0x12, 114, size_t)
BLKFLSBUF: Final = 0x1261
BLKSSZGET: Final = 0x1268
BLKPBSZGET: Final = 0x127B
BLKZEROOUT: Final = 0x127F
BLKGETSIZE64: Final = 0x80081272
# include/uapi/linux/loop.h
LOOP_GET_STATUS64: Final = 0x4C05

#: struct loop_info64 begins with lo_device, lo_inode, lo_rdevice, lo_offset, lo_sizelimit (u64 each); 232 bytes in all
_LOOP_INFO: Final = struct.Struct("=5Q192x")

#: one BLKZEROOUT covers at most this many bytes, so that a kill is not kept waiting by a large disk
ZERO_STEP: Final = 1 << 30


def device_size(fd: int) -> int:
    """The device's size in bytes."""
    return int(struct.unpack("=Q", fcntl.ioctl(fd, BLKGETSIZE64, bytes(8)))[0])


def logical_sector(fd: int) -> int:
    """The smallest piece the device can be addressed by, bytes."""
    return int(struct.unpack("=i", fcntl.ioctl(fd, BLKSSZGET, bytes(4)))[0])


def physical_sector(fd: int) -> int:
    """The smallest piece the device writes without reading first, bytes."""
    return int(struct.unpack("=I", fcntl.ioctl(fd, BLKPBSZGET, bytes(4)))[0])


def flush_buffers(fd: int) -> None:
    """Write out and forget the device's page cache. Needs CAP_SYS_ADMIN."""
    fcntl.ioctl(fd, BLKFLSBUF, 0)


def zero_out(fd: int, offset: int, length: int) -> None:
    """Make a range of whole sectors read as zeros; the kernel writes them where the device has no quicker way.

    The kernel asks for it with BLKDEV_ZERO_NOUNMAP (block/ioctl.c), so a thin device keeps the range allocated.
    """
    while length:
        step = min(length, ZERO_STEP)
        fcntl.ioctl(fd, BLKZEROOUT, struct.pack("=2Q", offset, step))
        offset += step
        length -= step


@attrs.frozen
class LoopBacking:
    """What a loop device stands on."""

    device: int
    """``st_dev`` of the backing file."""
    inode: int
    """``st_ino`` of the backing file."""
    node: int
    """``st_rdev``, if the loop device stands on a device node; else 0."""
    offset: int
    """Where in it the loop device begins, bytes."""


def loop_backing(fd: int) -> LoopBacking:
    """What the open loop device stands on. ``OSError`` (ENXIO) if it is not attached."""
    answer = fcntl.ioctl(fd, LOOP_GET_STATUS64, bytes(_LOOP_INFO.size))
    device, inode, node, offset, _limit = _LOOP_INFO.unpack(answer)
    return LoopBacking(device=device, inode=inode, node=node, offset=offset)
