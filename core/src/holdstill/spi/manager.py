"""What a volume manager says of a volume that is to be imaged."""

from __future__ import annotations

import abc

from holdstill.model.managed import Managed
from holdstill.model.volume import Mode


class Manager(abc.ABC):
    """A provider's view of one volume that its manager made, or that belongs to its manager. Nothing is held yet."""

    @abc.abstractmethod
    def objections(self, mode: Mode, *, as_raw: bool) -> tuple[str, ...]:
        """Why this volume must not be imaged in this way: sentences for the user. Any one of them stops the backup.

        ``as_raw``: the user asked for the plain bytes of a device, whatever is on it.
        """

    @abc.abstractmethod
    def kept(self) -> Managed | None:
        """What an image of the volume keeps of its manager; None if that is nothing. Changes nothing."""
