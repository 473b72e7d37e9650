"""Unmounted while it is read; with the method ``remount`` mounted again read-only meanwhile, so that readers may go on.
None of these kernels is known to make a file system read-only where it is mounted.

What a command did says the mount table, never its exit code: a command that failed may have done its work.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Callable
from typing import Final

from holdstill.errors import VolumeBusy, VolumeUnusable
from holdstill.model.choices import StaticMethod
from holdstill.model.volume import Mount
from holdstill.spi.given_back import GivenBack
from holdstill.spi.holds import Undone, UndoState
from holdstill.spi.reader import Reader
from holdstill.spi.runner import Ran, Runner
from holdstill.spi.still import HoldRequest, Still
from holdstill.spi.volume import Volume
from holdstill_static_unmount.commands import ground
from holdstill_static_unmount.commands.boots import boot, started_again
from holdstill_static_unmount.commands.systems import System, named, system_of
from holdstill_static_unmount.still import StaticStill, Watch

KIND: Final = "static_commands.mount"
#: where a file system notes that it was mounted for writing; bytes from the start
_FIRST: Final = 128 << 10


def hold(volume: Volume, mount: Mount, request: HoldRequest, rest: Callable[[float], None]) -> Still:
    """Raises ``VolumeBusy`` naming who is in the way, ``VolumeUnusable``; then all is as it was."""
    system = system_of(volume.facts)
    if users := volume.users():
        raise VolumeBusy(
            f"it cannot be unmounted: used by {', '.join(users)}",
            subject=volume.facts.path,
            next_step="stop those, or choose another mode; nothing was touched",
        )
    data = {
        "what": f"{mount.path} unmounted",
        "system": system.name,
        "boot": boot(request.runner, system.name),
        "device": volume.facts.device,
        "identity": volume.facts.identity,
        "place": mount.path,
        "filesystem": mount.filesystem,
        "options": mount.options,
    }
    by_hand = shlex.join(system.mount(volume.facts.device, mount, read_only=mount.read_only))
    line = request.holds.hold(KIND, data, by_hand=by_hand)
    back = GivenBack(
        line, lambda: undo(data, request.runner, request.find), rest, subject=volume.facts.path, by_hand=by_hand
    )
    try:
        meanwhile = _put_away(volume, mount, system, request)
        reader = meanwhile.open_reader(exclusive=not meanwhile.facts.mounts)
        try:
            return StaticStill(reader, watch(reader, meanwhile, request), back)
        except BaseException:
            reader.close()
            raise
    except BaseException:
        back()
        raise


def watch(reader: Reader, held: Volume, request: HoldRequest) -> Watch:
    """Whether it stayed as it is: by the mount table, and by the sectors that a mount for writing changes."""
    first = _digest(reader)

    def look() -> str | None:
        now = request.find(held.facts.device).facts
        if now.mounts != held.facts.mounts:
            places = ", ".join(f"{each.path} {each.options}" for each in now.mounts)
            return f"it was mounted otherwise while it was read: {places or 'not at all'}"
        return "its first sectors were written to while it was read" if _digest(reader) != first else reader.changed()

    return look


def undo(data: dict[str, str], runner: Runner, find: Callable[[str], Volume]) -> Undone:
    """Mount it where it was, as it was. Raises ``HoldstillError`` where nobody can tell."""
    system = named(data["system"], data["place"])
    if started_again(data["boot"], runner, system.name):
        return Undone(UndoState.ABSENT, "the host was started again since")
    before = Mount(data["place"], data["filesystem"], data["options"], read_only=False)
    volume = find(data["device"])
    if volume.facts.identity != data["identity"]:
        return Undone(UndoState.REFUSED, f"{data['device']} is not the volume that was unmounted from {before.path}")
    if strangers := [each.path for each in volume.facts.mounts if each.path != before.path]:
        return Undone(UndoState.REFUSED, f"it is mounted on {', '.join(strangers)} now")
    if _as_before(volume, before, system):
        return Undone(UndoState.ABSENT, f"mounted as before: {before.path}")
    said = ""
    if volume.facts.mounts:
        said = runner.change(("umount", before.path)).said
        volume = find(data["device"])
        if volume.facts.mounts:
            users = ", ".join(volume.users())
            return Undone(UndoState.BUSY, f"{before.path} is mounted otherwise than before and used by {users or said}")
    for command in (system.mount(data["device"], before, read_only=False), ("mount", before.path)):
        said = runner.change(command).said
        volume = find(data["device"])
        if _as_before(volume, before, system):
            return Undone(UndoState.REMOVED, f"mounted again: {before.path}")
        if volume.facts.mounts:
            now = volume.facts.mounts[0].options
            return Undone(UndoState.UNKNOWN, f"{before.path} is mounted with {now}, and was with {before.options}")
    return Undone(UndoState.UNKNOWN, f"{before.path} cannot be mounted again: {said}")


def _put_away(volume: Volume, mount: Mount, system: System, request: HoldRequest) -> Volume:
    """The volume as it is found afterwards: not mounted, or mounted read-only."""
    ran = request.runner.change(("umount", mount.path))
    now = request.find(volume.facts.device)
    if now.facts.mounts:
        raise ground.in_the_way(now, ran.said)
    if request.static_method is StaticMethod.UNMOUNT:
        return now
    ran = request.runner.change(system.mount(volume.facts.device, mount, read_only=True))
    now = request.find(volume.facts.device)
    if [each.path for each in now.facts.mounts] != [mount.path] or not now.facts.mounts[0].read_only:
        raise _not_read_only(volume, now, ran)
    return now


def _not_read_only(volume: Volume, now: Volume, ran: Ran) -> VolumeUnusable:
    found = ", ".join(f"{each.path} {each.options}" for each in now.facts.mounts)
    why = f"the mount table says {found}" if found else ran.said
    return VolumeUnusable(
        f"it cannot be mounted read-only: {why}",
        subject=volume.facts.path,
        next_step="use `--static-method unmount`; it is mounted as before",
    )


def _as_before(volume: Volume, before: Mount, system: System) -> bool:
    return any(system.same(each, before) for each in volume.facts.mounts)


def _digest(reader: Reader) -> bytes:
    return hashlib.sha256(reader.read(0, min(_FIRST, reader.size))).digest()
