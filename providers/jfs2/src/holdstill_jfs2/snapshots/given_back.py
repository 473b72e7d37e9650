"""Giving a snapshot back at the end of a run: again and again for a while, for others look into devices too."""

from __future__ import annotations

import time
from typing import Final

from holdstill.errors import HoldstillError, LeftHeld
from holdstill.spi.holds import Hold, Undone, UndoState
from holdstill_jfs2.commands import Aix
from holdstill_jfs2.snapshots import ours as snapshots
from holdstill_jfs2.snapshots.ours import Ours

#: between attempts, seconds
PAUSES: Final = [0.5, 3.0]
_GONE: Final = (UndoState.REMOVED, UndoState.ABSENT)


class GivenBack:
    """Called, it removes the snapshot and crosses it out; twice is harmless. Raises ``LeftHeld``, saying what is
    left.
    """

    def __init__(self, aix: Aix, ours: Ours, line: Hold) -> None:
        self._aix = aix
        self.ours = ours
        self._line: Hold | None = line

    def known(self, ours: Ours) -> None:
        """It exists, and this is what it is."""
        if self._line is not None:
            self._line.update(ident=ours.ident)
        self.ours = ours

    def __call__(self) -> None:
        """Give it back."""
        if self._line is None:
            return
        undone = self._undone()
        for pause in PAUSES:
            if undone.state in (*_GONE, UndoState.REFUSED):
                break
            time.sleep(pause)
            undone = self._undone()
        if undone.state not in _GONE:
            raise LeftHeld(
                undone.detail,
                subject=self.ours.place,
                next_step=f"`holdstill recover` tries again; by hand: {self.ours.by_hand}",
            )
        self._line.drop()
        self._line = None

    def _undone(self) -> Undone:
        try:
            return snapshots.undo(self._aix, self.ours)
        except HoldstillError as error:
            return Undone(UndoState.UNKNOWN, str(error))
