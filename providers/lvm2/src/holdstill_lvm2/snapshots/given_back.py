"""Giving a snapshot back at the end of a run: again and again for a while, for others look into devices too."""

from __future__ import annotations

import time
from typing import Final

from holdstill.errors import HoldstillError, LeftHeld
from holdstill.spi.holds import Hold, Undone, UndoState
from holdstill_lvm2.lvm import Lvm
from holdstill_lvm2.snapshots import ours as snapshots
from holdstill_lvm2.snapshots.ours import Ours

#: between attempts, seconds; LVM itself tries for five seconds each time, for what udev and its like have open
_PAUSES: Final = (0.5, 3.0)
_GONE: Final = (UndoState.REMOVED, UndoState.ABSENT)


class GivenBack:
    """Called, it removes the snapshot and crosses it out; twice is harmless. Raises ``LeftHeld``, saying what is
    left.
    """

    def __init__(self, lvm: Lvm, ours: Ours, line: Hold) -> None:
        self._lvm = lvm
        self.ours = ours
        self._line: Hold | None = line

    def known(self, ours: Ours) -> None:
        """It exists, and this is what it is."""
        self.ours = ours
        if self._line is not None:
            self._line.update(uuid=ours.uuid)

    def kept(self) -> None:
        """It is somebody else's from now on."""
        if self._line is not None:
            self._line.drop()
            self._line = None

    def __call__(self) -> None:
        """Give it back."""
        if self._line is None:
            return
        undone = self._undone()
        for pause in _PAUSES:
            if undone.state in (*_GONE, UndoState.REFUSED):
                break
            time.sleep(pause)
            undone = self._undone()
        if undone.state not in _GONE:
            raise LeftHeld(
                undone.detail,
                subject=self.ours.full_name,
                next_step=f"`holdstill recover` tries again; by hand: {self.ours.by_hand}",
            )
        self._line.drop()
        self._line = None

    def _undone(self) -> Undone:
        try:
            return snapshots.undo(self._lvm, self.ours)
        except HoldstillError as error:
            return Undone(UndoState.UNKNOWN, str(error))
