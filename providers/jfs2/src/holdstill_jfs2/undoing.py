"""From a line of the journal to what undoes it."""

from __future__ import annotations

from holdstill.spi.holds import Undone, UndoState
from holdstill.spi.runner import Runner
from holdstill_jfs2 import frozen
from holdstill_jfs2.commands import Aix
from holdstill_jfs2.snapshots import ours


def undo(kind: str, version: int, data: dict[str, str], runner: Runner) -> Undone:
    """What a line names, removed, or over."""
    if (kind, version) == (ours.KIND, ours.VERSION):
        return ours.undo(Aix(runner, patient=True), ours.Ours.from_line(data))
    if (kind, version) == (frozen.KIND, frozen.VERSION):
        return frozen.undo(data)
    return Undone(UndoState.UNKNOWN, f"this release does not know version {version} of {kind}")
