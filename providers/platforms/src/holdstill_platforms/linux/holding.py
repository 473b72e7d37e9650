"""Opening a device or file, exclusively where asked for, or saying who stands in the way."""

from __future__ import annotations

import errno
import fcntl
import os

from holdstill.errors import VolumeBusy, VolumeUnusable
from holdstill_platforms.linux import processes, refusals, sysfs, usage
from holdstill_platforms.linux.channel import Channel, open_device, open_file
from holdstill_platforms.linux.host import Ground, Host, ground_from

_TO_READ = "unmount it or stop what uses it, or choose another mode"
_TO_WRITE = "unmount it (`--unmount`) or stop what uses it, then restore again"


def device_to_read(path: str, number: int, *, exclusive: bool) -> Channel:
    """Open a block device for reading. ``exclusive``: as in ``device_to_write``."""
    if exclusive:
        return _device(path, number, os.O_RDONLY | os.O_EXCL, _TO_READ)
    return _same(_opened(path, number, os.O_RDONLY), path, number)


def device_to_write(path: str, number: int) -> Channel:
    """Open a block device O_EXCL: nobody mounts it or builds on it until it is closed.

    O_EXCL keeps out the kernel's users and other O_EXCL openers only, so loop devices and processes that have it open
    for writing are looked for besides. Raises ``VolumeBusy`` naming them.
    """
    node = sysfs.node_of(number)
    if node is not None and node.read_only:
        # opening it for writing works on some kernels, and every write fails later
        raise refusals.of_opening(path, OSError(errno.EROFS, ""))
    return _device(path, number, os.O_RDWR | os.O_EXCL, _TO_WRITE)


def _device(path: str, number: int, flags: int, next_step: str) -> Channel:
    try:
        channel = _opened(path, number, flags)
    except VolumeBusy:
        raise _busy(path, who_has(path, number) or "something holds it exclusively", next_step) from None
    return _unshared(channel, path, number, next_step)


def file_to_read(path: str, ground: Ground, *, exclusive: bool) -> Channel:
    """Open a plain file; ``exclusive``: one that no loop device stands on.

    A process that writes to it is noticed later, by the reader.
    """
    channel = _same(_opened(path, ground, os.O_RDONLY), path, ground)
    found = usage.of(Host.look(), ground) if exclusive else None
    if found:
        channel.close()
        raise _busy(path, str(found), _TO_READ)
    return channel


def file_to_write(path: str, ground: Ground) -> Channel:
    """Open a file that no loop device stands on and no other process has open for writing, and lock it (flock)."""
    channel = _opened(path, ground, os.O_RDWR)
    try:
        fcntl.flock(channel.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno == errno.EWOULDBLOCK:
            channel.close()
            raise _busy(path, "another program has locked it", _TO_WRITE) from None
    return _unshared(channel, path, ground, _TO_WRITE)


def who_has(path: str, ground: Ground, *, writing_only: bool = False) -> str:
    """Who uses it, in words; empty if nobody can be seen to."""
    found = usage.of(Host.look(), ground)
    opened = [str(opener) for opener in processes.staying(ground, path) if opener.writes or not writing_only]
    return "; ".join(([str(found)] if found else []) + ([f"open in {', '.join(opened)}"] if opened else []))


def _unshared(channel: Channel, path: str, ground: Ground, next_step: str) -> Channel:
    who = who_has(path, ground, writing_only=True)
    if who:
        channel.close()
        raise _busy(path, who, next_step)
    return _same(channel, path, ground)


def _opened(path: str, ground: Ground, flags: int) -> Channel:
    try:
        if isinstance(ground, int):
            return open_device(path, flags)
        return open_file(path, flags, direct=flags == os.O_RDONLY)
    except OSError as error:
        raise refusals.of_opening(path, error) from error


def _same(channel: Channel, path: str, ground: Ground) -> Channel:
    if ground_from(os.fstat(channel.fd)) != ground:
        channel.close()
        raise VolumeUnusable("it is another volume than a moment ago", subject=path, next_step="name it again")
    return channel


def _busy(path: str, who: str, next_step: str) -> VolumeBusy:
    return VolumeBusy(f"it is in use: {who}", subject=path, next_step=next_step)
