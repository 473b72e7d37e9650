"""Where the passwords of sealed repositories come from: a frontend's business."""

from __future__ import annotations

import abc


class Passwords(abc.ABC):
    """What is handed out is held in memory only as long as it takes, and is in no log, event, error or ``repr``."""

    @abc.abstractmethod
    def is_given(self, url: str) -> bool:
        """Is one at hand for the repository at ``url``, without asking anybody? Then whoever gave it means a sealed
        repository, and no other.
        """

    @abc.abstractmethod
    def password(self, url: str) -> bytes:
        """The password of the repository at ``url``. Raises ``PasswordMissing`` if there is nobody to ask."""
