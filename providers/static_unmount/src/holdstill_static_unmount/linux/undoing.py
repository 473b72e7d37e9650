"""From a kind in the journal to whoever undoes it."""

from __future__ import annotations

from holdstill.spi.given_back import carefully
from holdstill.spi.holds import Undone, UndoState
from holdstill_static_unmount.linux import frozen, remounted, unmounted
from holdstill_static_unmount.linux.kernel import Kernel


def undo(kind: str, version: int, data: dict[str, str], kernel: Kernel | None = None) -> Undone:
    """Harmless to repeat."""
    by_kind = {remounted.KIND: remounted.undo, unmounted.KIND: unmounted.undo, frozen.KIND: frozen.undo}
    if version != 1 or kind not in by_kind:
        return Undone(UndoState.UNKNOWN, f"{kind} {version} was written by a newer release")
    return carefully(lambda: by_kind[kind](kernel or Kernel(), data))
