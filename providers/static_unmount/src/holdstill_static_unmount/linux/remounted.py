"""Read-only by remounting: the file system stays where it is, and its readers go on."""

from __future__ import annotations

import errno
import os
import shlex
from functools import partial
from typing import Final

import attrs

from holdstill.errors import VolumeBusy, VolumeError, VolumeUnusable
from holdstill.model.extents import Extents
from holdstill.model.image import Audit
from holdstill.spi.given_back import GivenBack
from holdstill.spi.holds import Undone, UndoState
from holdstill.spi.still import HoldRequest, Still
from holdstill.spi.volume import Volume
from holdstill_static_unmount.linux import busy, fsmap, table
from holdstill_static_unmount.linux.ground import Ground
from holdstill_static_unmount.linux.kernel import Kernel, at
from holdstill_static_unmount.still import StaticStill, Watch

KIND: Final = "static_unmount.read_only"


def hold(kernel: Kernel, volume: Volume, ground: Ground, request: HoldRequest) -> Still:
    """Make the file system read-only wherever it is mounted, and the still of it.

    One that is read-only already is only watched. Raises ``VolumeBusy`` naming the processes in the way; then all is
    as it was.
    """
    back = _hold(kernel, ground, request) if not ground.top.read_only else _nothing
    try:
        _make_read_only(kernel, ground)
        device = kernel.number_of(volume.facts.device)
        if device:
            kernel.flush(volume.facts.device)
        watch = _watch(kernel, ground, device or ground.device)
        # what the kernel says counts from the start of its device; a file with a loop device on it may begin elsewhere
        auditor = partial(_audit, ground) if device == ground.device else None
        return StaticStill(volume.open_reader(exclusive=False), watch, back, auditor)
    except BaseException:
        back()
        raise


def undo(kernel: Kernel, data: dict[str, str]) -> Undone:
    """Make it writable again, if it is what was held, and if it is still read-only."""
    if data["boot"] != kernel.boot():
        return Undone(UndoState.ABSENT, "the host was started again since")
    before = {row.path: row for row in table.read_back(data["rows"])}
    rows = _mounts(kernel, data["device"])
    if not rows:
        return Undone(UndoState.ABSENT, "it is not mounted any more")
    if kernel.identity(data["device"]) != data["identity"]:
        return Undone(UndoState.REFUSED, f"device {data['device']} is another one now")
    if not rows[0].read_only:
        return Undone(UndoState.ABSENT, "it is writable")
    lever = next((row for row in rows if row.path in before), rows[0])
    try:
        kernel.remount(attrs.evolve(before.get(lever.path, lever), id=lever.id), read_only=False)
    except OSError as error:
        return Undone(UndoState.UNKNOWN, f"{lever.path} cannot be made writable: {os.strerror(error.errno or 0)}")
    if any(row.read_only for row in _mounts(kernel, data["device"])):
        return Undone(UndoState.UNKNOWN, f"{lever.path} is read-only still")
    return Undone(UndoState.REMOVED, f"{lever.path} is writable again")


def _hold(kernel: Kernel, ground: Ground, request: HoldRequest) -> GivenBack:
    data = {
        "what": f"{ground.top.path} read-only",
        "boot": kernel.boot(),
        "device": ground.device,
        "identity": kernel.identity(ground.device),
        "rows": table.write(ground.rows),
    }
    by_hand = f"mount -o remount,rw {shlex.quote(ground.top.path)}"
    line = request.holds.hold(KIND, data, by_hand=by_hand)
    return GivenBack(line, lambda: undo(kernel, data), kernel.rest, subject=ground.path, by_hand=by_hand)


def _nothing() -> None:
    """It was read-only before: nothing was held."""


def _make_read_only(kernel: Kernel, ground: Ground) -> None:
    if ground.top.read_only:
        return
    try:
        kernel.sync(ground.top)  # most of the work, while writers still go on
        kernel.remount(ground.top, read_only=True)
    except OSError as error:
        raise _refused(error, ground) from error
    if not all(row.read_only for row in _mounts(kernel, ground.device)):
        raise VolumeUnusable("the system says it is read-only now, and it is not", subject=ground.path)


def _refused(error: OSError, ground: Ground) -> VolumeError:
    if error.errno != errno.EBUSY:
        said = os.strerror(error.errno or 0)
        return VolumeUnusable(f"it cannot be made read-only: {said}", subject=ground.path)
    found = busy.writers(ground.rows)
    who = busy.told(found) if found else "somebody who cannot be seen here writes to it"
    return VolumeBusy(
        f"it cannot be made read-only: {who}",
        subject=ground.path,
        next_step="stop those, or choose another mode; nothing was changed",
    )


def _watch(kernel: Kernel, ground: Ground, device: str) -> Watch:
    """Whether it stayed read-only, by the table, and by what was written to the device."""
    written = kernel.written(device)

    def look() -> str | None:
        rows = _mounts(kernel, ground.device)
        if not rows:
            return "it was unmounted while it was read"
        if not all(row.read_only for row in rows):
            return "it was made writable while it was read"
        return "something wrote to it while it was read" if kernel.written(device) != written else None

    return look


def _audit(ground: Ground, unused: Extents) -> Audit | None:
    """By the file system itself, which nobody can write to."""
    try:
        with at(ground.top) as descriptor:
            return fsmap.audit(
                descriptor, ground.top.filesystem, unused, "GETFSMAP of the file system, mounted read-only"
            )
    except OSError:
        return None


def _mounts(kernel: Kernel, device: str) -> list[table.Row]:
    return [row for row in kernel.rows() if row.device == device]
