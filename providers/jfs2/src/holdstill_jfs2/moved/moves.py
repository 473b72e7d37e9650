"""What has moved into a snapshot, as whoever knows it says."""

from __future__ import annotations

import abc
from collections.abc import Iterable

import attrs


@attrs.frozen
class Move:
    """Bytes of the volume that were written to since the snapshot was made, and where their old ones are."""

    offset: int
    length: int
    place: int
    """In the store, bytes."""


class Moves(abc.ABC):
    """Asked after each read of the volume, never before: what has not moved yet may move at any time."""

    @abc.abstractmethod
    def within(self, start: int, end: int) -> Iterable[Move]:
        """All moves of ``[start, end)``, whole or clipped. Raises ``VolumeError`` where that cannot be told."""
