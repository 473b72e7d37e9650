"""Not faster than asked: the volume's own users need its disk, too."""

from __future__ import annotations

import threading
import time
from typing import Final

from holdstill.errors import Cancelled
from holdstill.spi.conversation import Conversation

#: a cancel is heard within this many seconds
_NAP: Final = 0.2


class Pace:
    """Gives out bytes, at most ``limit`` a second over any longer time; 0 is no limit. Thread-safe."""

    def __init__(self, limit: int, talk: Conversation) -> None:
        self._limit = limit
        self._talk = talk
        self._lock = threading.Lock()
        self._free = time.monotonic()

    def take(self, size: int) -> None:
        """Wait until ``size`` bytes may be moved. Raises ``Cancelled`` when told to."""
        if not self._limit:
            return
        with self._lock:
            # What was not used is not saved up: a limit that is burst through is none.
            turn = max(self._free, time.monotonic())
            self._free = turn + size / self._limit
        while (left := turn - time.monotonic()) > 0:
            if self._talk.cancelled():
                raise Cancelled("cancelled")
            time.sleep(min(left, _NAP))
