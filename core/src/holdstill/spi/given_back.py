"""Giving back what one line of the journal names, by the same way for a run that ends and for one that was killed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from holdstill.errors import HoldstillError, LeftHeld
from holdstill.spi.holds import Hold, Undone, UndoState

#: a device may be looked into by others for a moment just when it is given back; pauses between attempts, seconds
_PAUSES: Final = (0.1, 0.4, 1.0, 2.0)


def carefully(undo: Callable[[], Undone]) -> Undone:
    """What became of it; not to be able to ask is no answer."""
    try:
        return undo()
    except (OSError, HoldstillError) as error:
        return Undone(UndoState.UNKNOWN, f"cannot tell what is left: {error}")


class GivenBack:
    """Called, it undoes what was held and crosses it out; twice is harmless. Raises ``LeftHeld``, saying what is left.

    ``undo`` looks before it acts: it may be called after any failure, however far what it undoes has come.
    """

    def __init__(
        self, line: Hold, undo: Callable[[], Undone], rest: Callable[[float], None], *, subject: str, by_hand: str
    ) -> None:
        self._line: Hold | None = line
        self._undo = undo
        self._rest = rest
        self._subject = subject
        self._by_hand = by_hand

    def __call__(self) -> None:
        """Give it back."""
        if self._line is None:
            return
        undone = carefully(self._undo)
        for pause in _PAUSES:
            if undone.state in (UndoState.REMOVED, UndoState.ABSENT, UndoState.REFUSED):
                break
            self._rest(pause)
            undone = carefully(self._undo)
        if undone.state not in (UndoState.REMOVED, UndoState.ABSENT):
            raise LeftHeld(
                undone.detail,
                subject=self._subject,
                next_step=f"`holdstill recover` tries again; by hand: {self._by_hand}",
            )
        self._line.drop()
        self._line = None
