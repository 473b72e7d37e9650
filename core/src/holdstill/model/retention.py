"""Which images are to be kept: what a policy can say, and what it comes to."""

from __future__ import annotations

import datetime as dt

import attrs


@attrs.frozen
class Versions:
    """A policy in the words of Tivoli Storage Manager's copy groups. None: no limit."""

    exists: int | None = 2
    """VERExists: so many versions of a volume, the newest (active) one among them."""
    deleted: int | None = 1
    """VERDeleted: so many of a volume that is gone."""
    extra_days: int | None = 30
    """RETExtra: a version that is not the newest is kept so long after a newer one was taken."""
    only_days: int | None = 60
    """RETOnly: the last version of a volume that is gone."""
    gone: tuple[str, ...] = ()
    """Volumes that are no more: nobody but their owner can tell."""


@attrs.frozen
class Retention:
    """A policy, for each volume by itself. An image stays if anything here wants it."""

    last: int = 0
    hourly: int = 0
    """The last image of each of so many hours that have one; the others likewise. All by UTC."""
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0
    within: dt.timedelta | None = None
    """Everything that is not so much older than the volume's newest image."""
    versions: Versions | None = None

    @property
    def keeps_nothing(self) -> bool:
        """Does it ask for no image at all?"""
        return self == Retention()


@attrs.frozen
class Fate:
    """What becomes of one image, and why."""

    image: str
    host: str
    volume: str
    taken: str
    kept: bool
    reason: str
