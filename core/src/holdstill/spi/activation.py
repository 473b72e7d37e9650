"""A volume that was not there until it was asked for."""

from __future__ import annotations

import abc


class Activation(abc.ABC):
    """Made by the hook ``activate``, and in ``request.holds`` until it is put back."""

    said: str
    """What was done, for the user: a sentence without its end."""

    @abc.abstractmethod
    def put_back(self) -> None:
        """As it was found. Called once, when nothing of ours has the volume open. Raises ``LeftHeld`` if it stays."""
