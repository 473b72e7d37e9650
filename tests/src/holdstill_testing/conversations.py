"""Frontends for tests: one that says yes, and one that gives up when told to."""

from __future__ import annotations

from collections.abc import Callable

from holdstill.model.events import Event, Question, StageStarted
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


class At(Agreeing):
    """Does something once, when a stage begins."""

    def __init__(self, stage: str, what: Callable[[], object]) -> None:
        super().__init__()
        self._stage = stage
        self._what: Callable[[], object] | None = what

    def tell(self, event: Event) -> None:
        """Kept, and looked at."""
        super().tell(event)
        if self._what is not None and isinstance(event, StageStarted) and event.stage == self._stage:
            what, self._what = self._what, None
            what()
