"""What is held, written down before it is held."""

from __future__ import annotations

import abc
import enum
from collections.abc import Mapping

import attrs


class Hold(abc.ABC):
    """One open line of the journal. Each call is on stable storage when it returns."""

    @abc.abstractmethod
    def update(self, **narrower: str) -> None:
        """Add what is known only now (a UUID, a device number). It narrows an undo; no undo needs it."""

    @abc.abstractmethod
    def drop(self) -> None:
        """Cross it out: absence was proved. "Could not ask" is not absence."""


class Holds(abc.ABC):
    """The journal of one run, so that a failing run and ``holdstill recover`` can undo what is left of it."""

    @abc.abstractmethod
    def hold(self, kind: str, data: Mapping[str, str], *, by_hand: str, version: int = 1) -> Hold:
        """Write down, durably, what is about to be acquired.

        ``kind`` names what undoes it (the ``undo`` hook of the same plugin); ``data`` is enough, alone, to find the
        thing again and to be sure that it is ours: our name, our tag, the identity of what it hangs on. ``by_hand`` is
        what an administrator would type, for when the plugin is gone.
        """


class UndoState(enum.StrEnum):
    """What became of something held. Only the first two cross it out."""

    REMOVED = "removed"
    ABSENT = "absent"
    """Proven not to be there, under its name, its tag and its UUID."""
    REFUSED = "refused"
    """Something is there that is not provably ours."""
    BUSY = "busy"
    UNKNOWN = "unknown"
    """Could not ask."""


@attrs.frozen
class Undone:
    """The answer of one undo: idempotent, harmless to repeat."""

    state: UndoState
    detail: str = ""
