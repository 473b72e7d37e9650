"""What this distribution gives the engine besides: a still of a UFS that stays in use."""

from __future__ import annotations

import sys
from typing import Final

from holdstill.plugins.hookspecs import hookimpl
from holdstill.spi.holds import Undone
from holdstill.spi.provider import ProviderInfo
from holdstill.spi.runner import Runner
from holdstill.spi.still import HoldRequest, Still
from holdstill.spi.volume import Volume

API: Final = 0


@hookimpl
def provider_info() -> ProviderInfo:
    """Static facts."""
    here = sys.platform.startswith("sunos")
    return ProviderInfo(
        name="fssnap",
        summary="snapshots of UFS on Solaris",
        modes=("snapshot",),
        applies_here=here,
        because="" if here else f"it is for Solaris, and this is {sys.platform}",
        systems=("sunos",),
    )


@hookimpl
def snapshot(volume: Volume, request: HoldRequest) -> Still:
    """A snapshot of a mounted UFS."""
    from holdstill_fssnap import snapshot as ufs

    return ufs.hold(volume, request)


@hookimpl
def undo(kind: str, version: int, data: dict[str, str], runner: Runner) -> Undone | None:
    """Delete a snapshot that a run left, and its backing file."""
    from holdstill_fssnap import snapshot as ufs

    return ufs.undo(version, data, runner) if kind == ufs.KIND else None
