"""Progress that costs nothing: told a few times a second, whatever is asked of it."""

from __future__ import annotations

import time
from typing import Final

from holdstill.model.events import Progress, StageStarted
from holdstill.spi.conversation import Conversation

_EVERY: Final = 0.25


class Meter:
    """Counts the bytes of one stage and tells them."""

    def __init__(self, talk: Conversation, stage: str, subject: str, total: int) -> None:
        """Says that the stage begins; ``total`` bytes are to do."""
        self._talk = talk
        self._stage = stage
        self._subject = subject
        self._total = total
        self._done = 0
        self._next = 0.0
        talk.tell(StageStarted(stage, subject))

    def advance(self, by: int, stored: int = 0) -> None:
        """``by`` more bytes are done; ``stored`` bytes in all are in the repository."""
        self._done += by
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _EVERY
            self.tell(stored)

    def tell(self, stored: int = 0) -> None:
        """Say how far it is, now."""
        self._talk.tell(Progress(self._stage, self._subject, self._done, self._total, stored))
