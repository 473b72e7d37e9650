"""Signs of life of a writer that works for long. Policy, never safety: whoever is fenced all the same begins again."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import Final

from holdstill.errors import Damaged, FormatTooNew, HoldstillError, ObjectMissing
from holdstill.repository import canonical, envelope, layout
from holdstill.repository.digests import Digests
from holdstill.repository.fields import Fields
from holdstill.repository.layout import ObjectKind
from holdstill.spi.target import Target

#: a sign is given so often, seconds; a writer that has ended by then gives none
EVERY: Final = 3600.0


class Pulse:
    """The writer's. Thread-safe."""

    def __init__(self, target: Target, digests: Digests, number: int) -> None:
        self._target = target
        self._digests = digests
        self._key = layout.pulse_key(number)
        self._count = 0
        self._last = time.monotonic()
        self._lock = threading.Lock()

    def beat(self) -> None:
        """Called whenever something was done; now and then it is told. That it cannot be told is no reason to stop."""
        if time.monotonic() - self._last < EVERY or not self._lock.acquire(blocking=False):
            return
        try:
            self._last = time.monotonic()
            self._count += 1
            body = canonical.encode({"count": self._count})
            with suppress(HoldstillError):
                self._target.put(self._key, envelope.seal(self._digests, ObjectKind.PULSE, self._key, body))
        finally:
            self._lock.release()

    def end(self) -> None:
        """Nobody needs the sign any more."""
        if self._count:
            with suppress(HoldstillError):
                self._target.delete(self._key)


def count_of(target: Target, digests: Digests, number: int) -> int:
    """How many signs the writer has given; 0 if none can be read."""
    key = layout.pulse_key(number)
    try:
        _, body, _ = envelope.unsealed(digests, target.get(key), key, ObjectKind.PULSE)
        fields = Fields(canonical.decode(body, key), key)
        count = fields.number("count")
        fields.done()
    except (ObjectMissing, Damaged, FormatTooNew):
        return 0
    return count
