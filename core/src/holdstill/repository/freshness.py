"""Is there an image of every volume that is new enough, and good?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable

from holdstill.errors import ClockDoubtful
from holdstill.model.image import Image
from holdstill.model.results import Freshness, Worry
from holdstill.model.volume import Consistency
from holdstill.repository.retention import SKEW, time_of


def freshness(
    images: Iterable[Image], volumes: Collection[str], max_age: dt.timedelta, hurt: Collection[str], now: dt.datetime
) -> list[Freshness]:
    """One for each volume, by host and name; for each of ``volumes`` if some are named, whether imaged or not; and one
    for each image whose time cannot be read.
    """
    unreadable: list[Freshness] = []
    newest: dict[tuple[str, str], Image] = {}
    missing = set(volumes)
    for image in images:
        if volumes and image.volume.names.isdisjoint(volumes):
            continue
        missing -= image.volume.names
        try:
            time_of(image)
        except ClockDoubtful as doubt:
            unreadable.append(
                Freshness(image.host, image.volume.path, image.id, image.taken, None, Worry.CRITICAL, doubt.message)
            )
            continue
        key = (image.host, image.volume.identity or image.volume.path)
        if key not in newest or _order(image) > _order(newest[key]):
            newest[key] = image
    found = [_of(image, max_age, hurt, now) for _, image in sorted(newest.items())]
    return (
        found
        + unreadable
        + [Freshness("", volume, None, None, None, Worry.CRITICAL, "no image") for volume in sorted(missing)]
    )


def _order(image: Image) -> tuple[dt.datetime, int]:
    return time_of(image), image.number


def _of(image: Image, max_age: dt.timedelta, hurt: Collection[str], now: dt.datetime) -> Freshness:
    age = now - time_of(image)
    if image.id in hurt:
        worry, reason = Worry.CRITICAL, "the newest image is damaged"
    elif age > max_age:
        worry, reason = Worry.CRITICAL, "the newest image is too old"
    elif age < -SKEW:
        worry, reason = Worry.WARNING, "the newest image is from the future: one clock is wrong"
    elif image.unread:
        worry, reason = Worry.WARNING, "parts of the newest image could not be read"
    elif image.consistency is Consistency.FUZZY:
        worry, reason = Worry.WARNING, "the newest image is fuzzy"
    else:
        worry, reason = Worry.NONE, ""
    return Freshness(image.host, image.volume.path, image.id, image.taken, age.total_seconds(), worry, reason)
