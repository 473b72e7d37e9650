"""How long a target is asked again: with growing, random waits, until a deadline. The only room that does that."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Final, TypeVar

import attrs

from holdstill.errors import TargetError

Answer = TypeVar("Answer")

#: the slowest line that is worth waiting for, bytes a second
_SLOWEST: Final = 64 << 10


@attrs.frozen
class Patience:
    """Seconds throughout. The clock, the sleep and the dice are fields, so that tests need not wait."""

    deadline: float = 600.0
    """A call that has failed so long after it began is not made again."""
    first: float = 0.2
    """The longest first wait; each later one may be twice as long, up to ``longest``."""
    longest: float = 20.0
    limit: float = 60.0
    """A request without an answer for so long has failed. What moves much data has more time."""
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    dice: Callable[[], float] = random.random

    def persist(self, call: Callable[[], Answer]) -> Answer:
        """What ``call`` returns, which is made again while it fails in a way that may pass.

        Waits are random between nothing and their bound, so that hosts that failed together do not come back together.
        Raises the last error.
        """
        began, bound, tries = self.clock(), self.first, 1
        while True:
            try:
                return call()
            except TargetError as error:
                wait = bound * self.dice()
                if not error.is_retryable or self.clock() - began + wait > self.deadline:
                    _tell(error, tries, self.clock() - began)
                    raise
            self.sleep(wait)
            bound, tries = min(2 * bound, self.longest), tries + 1

    def limit_for(self, size: int) -> float:
        """How long a request may take that moves ``size`` bytes."""
        return self.limit + size / _SLOWEST


def _tell(error: TargetError, tries: int, seconds: float) -> None:
    """Let the error say how often it was met."""
    if tries > 1:
        error.message = f"{error.message} (tried {tries} times in {seconds:.0f} s)"
