"""What is held, written down before it is held."""

from __future__ import annotations

import abc


class Journal(abc.ABC):
    """The durable list of what a run holds, so that ``holdstill recover`` can undo what a killed process left.

    Each entry names a ``kind`` (which plugin's ``release_held`` undoes it) and ``facts``: all that is needed to find
    the thing again and to be sure that it is ours. Each call is on stable storage when it returns.
    """

    @abc.abstractmethod
    def acquiring(self, kind: str, facts: dict[str, str]) -> str:
        """Say what is about to be acquired. Returns the entry's id."""

    @abc.abstractmethod
    def acquired(self, entry: str, facts: dict[str, str]) -> None:
        """Add what is known only now (a UUID, a device number)."""

    @abc.abstractmethod
    def released(self, entry: str) -> None:
        """Cross it out: it is proven gone."""
