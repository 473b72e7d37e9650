"""Rules on which client may image what, and where that may go."""

from __future__ import annotations

import abc

from holdstill.model.compatibility import CompatQuestion, CompatTable, Verdict


class Compatibility(abc.ABC):
    """A provider's rules. Pure: no I/O."""

    @abc.abstractmethod
    def answer(self, question: CompatQuestion) -> Verdict:
        """May this be done? Raises ``UsageError`` for a client or a volume manager that the rules do not name."""

    @abc.abstractmethod
    def table(self) -> CompatTable:
        """All of them, for people."""
