"""A conversation that does not hear a cancel: for what must be done although, or because, the job is being ended."""

from __future__ import annotations

from holdstill.model.events import Event, Question
from holdstill.spi.conversation import Conversation


class Deaf(Conversation):
    """Tells and asks as the conversation behind it does."""

    def __init__(self, talk: Conversation) -> None:
        self._talk = talk

    def tell(self, event: Event) -> None:
        """Pass it on."""
        self._talk.tell(event)

    def ask(self, question: Question) -> str:
        """Pass it on."""
        return self._talk.ask(question)
