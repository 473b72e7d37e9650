"""What this distribution gives the engine: stills of mounted volumes that nobody can write to meanwhile."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final

from holdstill.errors import NoProvider
from holdstill.plugins.hookspecs import hookimpl
from holdstill.spi.holds import Undone
from holdstill.spi.provider import ProviderInfo
from holdstill.spi.runner import Runner
from holdstill.spi.still import Freeze, HoldRequest, Still
from holdstill.spi.volume import Volume

API: Final = 0
#: where mounted volumes are held by the system's own commands, here or from afar
_BY_COMMANDS: Final = ("aix", "hp-ux", "sunos")


@hookimpl
def provider_info() -> ProviderInfo:
    """Static facts."""
    here = sys.platform.startswith(("linux", *_BY_COMMANDS))
    return ProviderInfo(
        name="static_unmount",
        summary="mounted volumes made read-only, locked or unmounted while they are read; on Linux frozen, too",
        modes=("static", "freeze"),
        applies_here=here,
        because="" if here else f"it knows Linux, AIX, HP-UX and Solaris, and this is {sys.platform}",
        systems=("linux", *_BY_COMMANDS),
    )


@hookimpl
def snapshot(volume: Volume, request: HoldRequest) -> Still:
    """Make a mounted volume static, by remounting it read-only or by unmounting it."""
    if _is_by_commands(volume):
        from holdstill_static_unmount.commands import static as by_commands

        return by_commands.hold(volume, request)
    from holdstill_static_unmount.linux import static

    return static.hold(volume, request)


@hookimpl
def freeze(volume: Volume, request: HoldRequest) -> Freeze:
    """Freeze a mounted volume of this Linux, with a watchdog that thaws it."""
    if _is_by_commands(volume):
        raise NoProvider("only what Linux has mounted here can be frozen", subject=volume.facts.path)
    from holdstill_static_unmount.linux import frozen

    return frozen.hold(volume, request)


@hookimpl
def undo(kind: str, version: int, data: dict[str, str], runner: Runner, find: Callable[[str], Volume]) -> Undone | None:
    """Make writable, mount, unlock or thaw again what a run left."""
    if kind.startswith("static_commands."):
        from holdstill_static_unmount.commands import static as by_commands

        return by_commands.undo(kind, version, data, runner, find)
    if not kind.startswith("static_unmount."):
        return None
    from holdstill_static_unmount.linux import undoing

    return undoing.undo(kind, version, data)


def _is_by_commands(volume: Volume) -> bool:
    return volume.machine is not None or "system" in volume.facts.facts
