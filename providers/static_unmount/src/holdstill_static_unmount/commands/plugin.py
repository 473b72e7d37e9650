"""Volumes made static by the commands of AIX, HP-UX and Solaris, here or on a machine that is reached."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final

from holdstill.plugins.hookspecs import hookimpl
from holdstill.spi.holds import Undone
from holdstill.spi.provider import ProviderInfo
from holdstill.spi.runner import Runner
from holdstill.spi.still import HoldRequest, Still
from holdstill.spi.volume import Volume

API: Final = 0
_SYSTEMS: Final = ("aix", "hp-ux", "sunos")


@hookimpl
def provider_info() -> ProviderInfo:
    """Static facts."""
    here = sys.platform.startswith(_SYSTEMS)
    return ProviderInfo(
        name="static_commands",
        summary="mounted volumes of AIX, HP-UX and Solaris, unmounted, mounted read-only or locked while they are read",
        modes=("static",),
        applies_here=here,
        because="" if here else f"it is for AIX, HP-UX and Solaris, and this is {sys.platform}",
        systems=_SYSTEMS,
    )


@hookimpl
def snapshot(volume: Volume, request: HoldRequest) -> Still:
    """Make a mounted volume static."""
    from holdstill_static_unmount.commands import static

    return static.hold(volume, request)


@hookimpl
def undo(kind: str, version: int, data: dict[str, str], runner: Runner, find: Callable[[str], Volume]) -> Undone | None:
    """Mount or unlock again what a run left."""
    if not kind.startswith("static_commands."):
        return None
    from holdstill_static_unmount.commands import static

    return static.undo(kind, version, data, runner, find)
