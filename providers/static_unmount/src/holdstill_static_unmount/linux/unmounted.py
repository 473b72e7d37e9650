"""Unmounted while it is read, and held so that nobody else gets at it: for file systems that cannot be made read-only,
and for those who want it as TSM does it.
"""

from __future__ import annotations

import errno
import os
import shlex
from collections.abc import Iterable
from typing import Final

from holdstill.errors import VolumeBusy, VolumeError, VolumeUnusable
from holdstill.model.volume import VolumeKind
from holdstill.spi.given_back import GivenBack
from holdstill.spi.holds import Undone, UndoState
from holdstill.spi.still import HoldRequest, Still
from holdstill.spi.volume import Volume
from holdstill_static_unmount.linux import busy, shape, table
from holdstill_static_unmount.linux.ground import Ground
from holdstill_static_unmount.linux.kernel import Kernel
from holdstill_static_unmount.linux.putting_back import CannotPutBack, put_back
from holdstill_static_unmount.linux.table import Row
from holdstill_static_unmount.still import StaticStill

KIND: Final = "static_unmount.unmounted"


def hold(kernel: Kernel, volume: Volume, ground: Ground, request: HoldRequest) -> Still:
    """Unmount every mount of it and open it exclusively. Raises ``VolumeBusy`` naming the processes in the way,
    ``VolumeUnusable`` for what could not be mounted again exactly as it is; then all is as it was.
    """
    _refuse(kernel, volume, ground)
    data = {
        "what": f"{', '.join(row.path for row in ground.rows)} unmounted",
        "boot": kernel.boot(),
        "source": ground.top.source,
        "identity": kernel.identity(kernel.number_of(ground.top.source)),
        "rows": table.write(ground.rows),
    }
    by_hand = _by_hand(ground)
    line = request.holds.hold(KIND, data, by_hand=by_hand)
    back = GivenBack(line, lambda: undo(kernel, data), kernel.rest, subject=ground.path, by_hand=by_hand)
    try:
        _unmount(kernel, ground)
        reader = volume.open_reader(exclusive=True)
    except BaseException:
        back()
        raise
    return StaticStill(reader, reader.changed, back)


def undo(kernel: Kernel, data: dict[str, str]) -> Undone:
    """Mount again what is missing, where it was, as it was."""
    if data["boot"] != kernel.boot():
        return Undone(UndoState.ABSENT, "the host was started again since")
    wanted = table.read_back(data["rows"])
    places = ", ".join(row.path for row in wanted)
    if not shape.differences(wanted, kernel.rows()):
        return Undone(UndoState.ABSENT, f"mounted as before: {places}")
    number = kernel.number_of(data["source"])
    if not number or kernel.identity(number) != data["identity"]:
        return Undone(UndoState.REFUSED, f"{data['source']} is not the device that was unmounted from {places}")
    try:
        put_back(kernel, wanted)
    except CannotPutBack as error:
        return Undone(error.state, str(error))
    if left := shape.differences(wanted, kernel.rows()):
        return Undone(UndoState.UNKNOWN, "; ".join(left))
    return Undone(UndoState.REMOVED, f"mounted again: {places}")


def _refuse(kernel: Kernel, volume: Volume, ground: Ground) -> None:
    if volume.facts.kind is not VolumeKind.BLOCK:
        raise _not_exactly(ground, "it is a file; only a device can be unmounted and held")
    if volume.facts.holders:
        raise VolumeBusy(
            f"it is held by {', '.join(volume.facts.holders)}", subject=ground.path, next_step="let go of that first"
        )
    if not kernel.number_of(ground.top.source):
        raise _not_exactly(ground, f"it was mounted from {ground.top.source}, which is no device")
    if why := shape.not_repeatable(ground.rows):
        raise _not_exactly(ground, why)
    if stays := _stays_elsewhere(kernel, ground):
        raise VolumeBusy(
            f"it is also mounted in other mount namespaces: {', '.join(stays)}",
            subject=ground.path,
            next_step="unmount it there first, or use `--static-method remount`",
        )
    if found := busy.users(ground.rows):
        raise _in_the_way(ground, found)


def _unmount(kernel: Kernel, ground: Ground) -> None:
    kernel.sync(ground.top)
    for row in reversed(ground.rows):
        if row.id not in {each.id for each in kernel.rows()}:
            continue  # went with one at a place that mirrors its own
        try:
            kernel.unmount(row)
        except OSError as error:
            raise _refused(error, ground) from error
    left = [row for row in kernel.rows() if row.device == ground.device]
    if left:
        raise VolumeBusy(f"{left[0].path} is still mounted", subject=ground.path, next_step="look who mounts it")


def _refused(error: OSError, ground: Ground) -> VolumeError:
    if error.errno == errno.EBUSY:
        return _in_the_way(ground, busy.users(ground.rows))
    said = os.strerror(error.errno or 0)
    return VolumeUnusable(f"it cannot be unmounted: {said}", subject=ground.path)


def _in_the_way(ground: Ground, found: list[busy.User]) -> VolumeBusy:
    who = busy.told(found) if found else "somebody who cannot be seen here uses it"
    return VolumeBusy(
        f"it cannot be unmounted: {who}",
        subject=ground.path,
        next_step="stop those, or choose another mode; it is mounted as before",
    )


def _not_exactly(ground: Ground, why: str) -> VolumeUnusable:
    return VolumeUnusable(
        f"it could not be mounted again exactly as it is: {why}",
        subject=ground.path,
        next_step="use `--static-method remount`; nothing was touched",
    )


def _stays_elsewhere(kernel: Kernel, ground: Ground) -> list[str]:
    """Mounts in other namespaces that do not go when ours go: their parents do not follow the parents of ours."""
    own = {row.id: row for row in kernel.rows()}
    groups = {own[row.parent].group("shared") for row in ground.rows if row.parent in own} - {""}
    stays = []
    for process, rows in kernel.elsewhere().items():
        parents = {row.id: row for row in rows}
        for row in rows:
            parent = parents.get(row.parent)
            if row.device == ground.device and not (parent and _follows(parent, groups)):
                stays.append(f"{row.path} (of process {process})")
    return stays


def _follows(parent: Row, groups: Iterable[str]) -> bool:
    return any(parent.group(kind) in groups for kind in ("shared", "master", "propagate_from"))


def _by_hand(ground: Ground) -> str:
    whole = ground.top
    first = ["mount", "-t", whole.filesystem, "-o", whole.super_options, whole.source, whole.path]
    steps = [first, *(["mount", "--bind", whole.path + row.root.rstrip("/"), row.path] for row in ground.rows[1:])]
    return " && ".join(shlex.join(step) for step in steps)
