"""What this distribution gives the engine: JFS2 that stays in use, held by a snapshot or frozen."""

from __future__ import annotations

import sys
from typing import Final

from holdstill.model.image import Image
from holdstill.plugins.hookspecs import hookimpl
from holdstill.spi.holds import Undone
from holdstill.spi.provider import ProviderInfo
from holdstill.spi.restore import RestoreTarget
from holdstill.spi.runner import Runner
from holdstill.spi.still import Freeze, HoldRequest, Still
from holdstill.spi.volume import Volume
from holdstill_jfs2.settings import KNOWN

API: Final = 0


@hookimpl
def provider_info() -> ProviderInfo:
    """Static facts."""
    here = sys.platform.startswith("aix")
    return ProviderInfo(
        name="jfs2",
        summary="snapshots and freezes of JFS2 on AIX",
        modes=("snapshot", "freeze"),
        settings=tuple(KNOWN),
        applies_here=here,
        systems=("aix",),
        because="" if here else f"JFS2 is of AIX only, and this is {sys.platform}",
    )


@hookimpl
def snapshot(volume: Volume, request: HoldRequest) -> Still:
    """A snapshot of a JFS2 that stays in use."""
    from holdstill_jfs2.snapshots import holding

    return holding.hold(volume, request)


@hookimpl
def freeze(volume: Volume, request: HoldRequest) -> Freeze:
    """A JFS2 whose writers wait."""
    from holdstill_jfs2 import frozen

    return frozen.hold(volume, request)


@hookimpl
def restore(image: Image, target: Volume) -> RestoreTarget | None:
    """Say that the log of a JFS2 must be formatted."""
    from holdstill_jfs2 import restoring

    return restoring.destination(image, target)


@hookimpl
def undo(kind: str, version: int, data: dict[str, str], runner: Runner) -> Undone | None:
    """Remove the snapshot that a run left, or wait until its freeze is over."""
    if not kind.startswith("jfs2."):
        return None
    from holdstill_jfs2 import undoing

    return undoing.undo(kind, version, data, runner)
