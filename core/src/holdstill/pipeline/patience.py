"""What changes storage is never broken off; but nobody should have to guess why nothing happens."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from holdstill.model.events import Warned
from holdstill.spi.conversation import Conversation

#: how often it is said, seconds
_EVERY: Final = 30.0


@contextmanager
def patiently(talk: Conversation, doing: str, subject: str, *, every: float = _EVERY) -> Iterator[None]:
    """Inside, say now and then what is being waited for. ``talk`` is told from another thread, while the job's own is
    stuck in the system.
    """
    done = threading.Event()

    def say() -> None:
        while not done.wait(every):
            text = f"{doing} takes long; it changes the host's storage, so it is waited for and not broken off"
            talk.tell(Warned("hold.slow", text, subject))

    teller = threading.Thread(target=say, name="holdstill-patience", daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()
