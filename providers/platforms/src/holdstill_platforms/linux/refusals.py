"""What the system says no to, in sentences for the user."""

from __future__ import annotations

import errno
import os
from typing import Final

from holdstill.errors import VolumeBusy, VolumeDenied, VolumeError, VolumeMissing, VolumeUnusable

_MISSING: Final = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG}
_DENIED: Final = {errno.EACCES, errno.EPERM}
_MAY: Final = ("run this as root", "run it where the device may be opened: a container or a security policy forbids it")
_BUSY: Final = {errno.EBUSY, errno.ETXTBSY}


def of_opening(path: str, error: OSError) -> VolumeError:
    """Why ``path`` cannot be looked at or opened."""
    said = os.strerror(error.errno) if error.errno else str(error)
    if error.errno in _MISSING:
        return VolumeMissing("there is no such volume", subject=path, next_step="look at `holdstill volumes`")
    if error.errno in _DENIED:
        return VolumeDenied(f"the system does not let us ({said})", subject=path, next_step=_MAY[os.geteuid() == 0])
    if error.errno == errno.EROFS:
        return VolumeDenied("it is read-only", subject=path, next_step="make it writable, or choose another target")
    if error.errno in _BUSY:
        return VolumeBusy(f"it is in use ({said})", subject=path, next_step="stop what uses it, then try again")
    if error.errno in (errno.ENXIO, errno.ENODEV, errno.ENOMEDIUM):
        return VolumeUnusable(f"there is nothing in this device ({said})", subject=path, next_step="attach it first")
    return VolumeUnusable(f"it cannot be opened ({said})", subject=path, next_step="look into the system's log")
