"""Frontends for tests: one that says yes, and one that gives up when told to."""

from __future__ import annotations

from collections.abc import Callable

from holdstill.model.events import Event, Question
from holdstill.spi.conversation import Conversation


class Agreeing(Conversation):
    """Says yes to everything; keeps what it was told and asked."""

    def __init__(self) -> None:
        self.told: list[Event] = []
        self.asked: list[Question] = []

    def tell(self, event: Event) -> None:
        """Kept."""
        self.told.append(event)

    def ask(self, question: Question) -> str:
        """Yes."""
        self.asked.append(question)
        return "yes"


class Interrupting(Agreeing):
    """Cancels the job as soon as ``due`` says so of something that it is told."""

    def __init__(self, due: Callable[[Event], bool]) -> None:
        super().__init__()
        self._due = due
        self.over = False

    def tell(self, event: Event) -> None:
        """Kept, and looked at."""
        super().tell(event)
        self.over = self.over or self._due(event)

    def cancelled(self) -> bool:
        """Since the event that was waited for."""
        return self.over
