"""A static still, by the method that was asked for, on the systems that are known by their commands."""

from __future__ import annotations

import time
from collections.abc import Callable

from holdstill.errors import NoProvider
from holdstill.model.choices import StaticMethod
from holdstill.model.volume import Mode
from holdstill.spi.given_back import carefully
from holdstill.spi.holds import Undone, UndoState
from holdstill.spi.runner import Runner
from holdstill.spi.still import HoldRequest, Still
from holdstill.spi.volume import Volume
from holdstill_static_unmount.commands import locked, remounted
from holdstill_static_unmount.commands.ground import the_mount
from holdstill_static_unmount.commands.systems import system_of
from holdstill_static_unmount.still import StaticStill


def hold(volume: Volume, request: HoldRequest, rest: Callable[[float], None] = time.sleep) -> Still:
    """Raises ``NoProvider`` for a volume of another system, ``VolumeBusy``, ``VolumeUnusable``: all is as it was."""
    system = system_of(volume.facts)
    if request.mode is not Mode.STATIC:
        raise NoProvider(f"it makes no image by {request.mode.value}", subject=volume.facts.path)
    mount = the_mount(volume)
    if mount.read_only:
        reader = volume.open_reader(exclusive=False)
        try:
            return StaticStill(reader, remounted.watch(reader, volume, request), _nothing)
        except BaseException:
            reader.close()
            raise
    if request.static_method is StaticMethod.REMOUNT and mount.filesystem in system.lockable:
        return locked.hold(volume, mount, request, rest)
    return remounted.hold(volume, mount, request, rest)


def undo(kind: str, version: int, data: dict[str, str], runner: Runner, find: Callable[[str], Volume]) -> Undone:
    """Harmless to repeat."""
    by_kind = {remounted.KIND: remounted.undo, locked.KIND: locked.undo}
    if version != 1 or kind not in by_kind:
        return Undone(UndoState.UNKNOWN, f"{kind} {version} was written by a newer release")
    return carefully(lambda: by_kind[kind](data, runner, find))


def _nothing() -> None:
    """It was read-only before: nothing was held."""
