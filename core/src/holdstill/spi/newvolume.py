"""A volume that is made so that an image can be restored to it."""

from __future__ import annotations

import abc


class NewVolume(abc.ABC):
    """Made by the hook ``create_volume``, and in ``request.holds`` until one of the two is called."""

    path: str
    """What ``identify`` finds it by."""

    @abc.abstractmethod
    def keep(self) -> None:
        """From here on it is the user's: nothing of ours is left on it, and nothing undoes it any more."""

    @abc.abstractmethod
    def remove(self) -> None:
        """The restore will not be: make it go away. Raises ``LeftHeld`` if it is still there."""
