"""Progress that costs nothing: told a few times a second, whatever is asked of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from holdstill.model.events import Event, Progress, StageStarted

_EVERY: Final = 0.25


class Meter:
    """Counts the bytes of one stage and tells them."""

    def __init__(self, tell: Callable[[Event], None], stage: str, subject: str, total: int) -> None:
        """Says that the stage begins; ``total`` bytes are to do."""
        self._tell = tell
        self._stage = stage
        self._subject = subject
        self._total = total
        self._done = 0
        self._next = 0.0
        tell(StageStarted(stage, subject))

    def advance(self, by: int, stored: int = 0) -> None:
        """``by`` more bytes are done; ``stored`` bytes in all are in the repository."""
        self._done += by
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _EVERY
            self.tell(stored)

    def tell(self, stored: int = 0) -> None:
        """Say how far it is, now."""
        self._tell(Progress(self._stage, self._subject, self._done, self._total, stored))
