"""What this distribution gives the engine: stills of mounted volumes that nobody can write to meanwhile."""

from __future__ import annotations

import sys
from typing import Final

from holdstill.plugins.hookspecs import hookimpl
from holdstill.spi.holds import Undone
from holdstill.spi.provider import ProviderInfo
from holdstill.spi.still import Freeze, HoldRequest, Still
from holdstill.spi.volume import Volume

API: Final = 0


@hookimpl
def provider_info() -> ProviderInfo:
    """Static facts."""
    here = sys.platform == "linux"
    return ProviderInfo(
        name="static_unmount",
        summary="mounted volumes of Linux, made read-only, unmounted or frozen while they are read",
        modes=("static", "freeze"),
        applies_here=here,
        because="" if here else f"it knows Linux only, and this is {sys.platform}",
    )


@hookimpl
def snapshot(volume: Volume, request: HoldRequest) -> Still:
    """Make a mounted volume static, by remounting it read-only or by unmounting it."""
    from holdstill_static_unmount.linux import static

    return static.hold(volume, request)


@hookimpl
def freeze(volume: Volume, request: HoldRequest) -> Freeze:
    """Freeze a mounted volume, with a watchdog that thaws it."""
    from holdstill_static_unmount.linux import frozen

    return frozen.hold(volume, request)


@hookimpl
def undo(kind: str, version: int, data: dict[str, str]) -> Undone | None:
    """Make writable, mount or thaw again what a run left."""
    if not kind.startswith("static_unmount."):
        return None
    from holdstill_static_unmount.linux import undoing

    return undoing.undo(kind, version, data)
