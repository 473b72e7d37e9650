"""What a policy means for the images there are. It decides; nothing is deleted here."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable, Collection, Iterable
from typing import Final

import attrs

from holdstill.errors import ClockDoubtful, UsageError
from holdstill.model.image import Image
from holdstill.model.retention import Fate, Retention, Versions
from holdstill.model.volume import Consistency

#: clocks of hosts may differ by so much
SKEW: Final = dt.timedelta(minutes=5)

#: rules that count days do not believe that so much time went by without an image
LEAP: Final = dt.timedelta(days=60)

#: a volume, as policies know it: host, identity, who signed if that is somebody who may only write
_Key = tuple[str, str, str]

_SLOTS: Final[dict[str, Callable[[dt.datetime], str]]] = {
    "hourly": lambda taken: taken.strftime("%Y-%m-%d %H:00"),
    "daily": lambda taken: taken.strftime("%Y-%m-%d"),
    "weekly": lambda taken: "{}-W{:02}".format(*taken.isocalendar()),
    "monthly": lambda taken: taken.strftime("%Y-%m"),
    "yearly": lambda taken: taken.strftime("%Y"),
}


@attrs.frozen
class _Dated:
    image: Image
    taken: dt.datetime


def decide(
    images: Iterable[Image],
    retention: Retention,
    now: dt.datetime,
    *,
    good: Collection[str] = (),
    hurt: Collection[str] = (),
) -> list[Fate]:
    """A verdict on each image, by volume, the newest first. ``good`` and ``hurt``: ids of images whose verification
    ended so.

    Whatever the policy says, a volume keeps its newest image, its newest clean one (a point in time, wholly read, not
    known to be hurt), and the newest of those that was verified. One that is in ``doubts`` keeps all. Raises
    ``ClockDoubtful`` if every volume is, or rules that count days would have to believe in a leap of time;
    ``UsageError`` for a policy that keeps nothing.
    """
    if retention.keeps_nothing:
        raise UsageError("a policy must keep something", next_step="Say --keep-last 1, for example.")
    images = list(images)
    doubted = doubts(images, now)
    volumes: dict[_Key, list[_Dated]] = {}
    verdicts = []
    for image in images:
        if doubt := doubted.get(_key(image)):
            verdicts.append(Fate(image.id, image.host, image.volume.path, image.taken, True, f"{doubt}"))
        else:
            volumes.setdefault(_key(image), []).append(_Dated(image, time_of(image)))
    if doubted and not volumes:
        raise next(iter(doubted.values()))  # then it is this host's clock
    if retention.versions is not None and (retention.versions.extra_days, retention.versions.only_days) != (None, None):
        _no_leap([each.taken for some in volumes.values() for each in some], now)
    for _, dated_images in sorted(volumes.items()):
        newest_first = sorted(dated_images, key=lambda each: (each.taken, each.image.number), reverse=True)
        verdicts += _Volume(newest_first, retention, now, good, hurt).verdicts()
    return verdicts


def doubts(images: Iterable[Image], now: dt.datetime) -> dict[_Key, ClockDoubtful]:
    """Volumes of which nothing may be dropped, as an image of theirs is from the future, or has no time at all. One
    host whose clock is wrong, or who lies, is not to stop the policies of others.
    """
    found: dict[_Key, ClockDoubtful] = {}
    for image in images:
        try:
            ahead = time_of(image) > now + SKEW
        except ClockDoubtful as doubt:
            found[_key(image)] = doubt
            continue
        if ahead:
            found[_key(image)] = ClockDoubtful(
                f"it was taken at {image.taken}, and here it is {now:%Y-%m-%dT%H:%M:%SZ}: one clock is wrong",
                subject=_named(image),
                next_step="Set this host's clock right; if the image's time is wrong, `holdstill delete` it.",
            )
    return found


def _key(image: Image) -> _Key:
    # What hosts sign that may only write is counted by itself: they can name any host and volume.
    return image.host, image.volume.identity or image.volume.path, image.signer


def _named(image: Image) -> str:
    return f"image {image.id[:12]} of {image.volume.path} on {image.host}"


def _no_leap(times: list[dt.datetime], now: dt.datetime) -> None:
    """A clock that is far ahead, here or on the host that made the newest image, would let days expire."""
    latest = [now, *sorted(times, reverse=True)[:2]]
    for later, earlier in itertools.pairwise(latest):
        if later - earlier > LEAP:
            raise ClockDoubtful(
                f"there is nothing between {earlier:%Y-%m-%d} and {later:%Y-%m-%d}: either nobody took an image, or a"
                " clock is ahead, and then counting days would drop images too early",
                next_step="Look at the clocks. If they are right: back up twice, or keep by number (--keep-last).",
            )


@attrs.frozen
class _Volume:
    """One volume's images, the newest first."""

    images: list[_Dated]
    retention: Retention
    now: dt.datetime
    good: Collection[str]
    hurt: Collection[str]

    def verdicts(self) -> list[Fate]:
        reasons: dict[str, list[str]] = {each.image.id: [] for each in self.images}
        for image, reason in (*self._guarded(), *self._wanted()):
            reasons[image.id].append(reason)
        return [self._verdict(each.image, reasons[each.image.id]) for each in self.images]

    def _verdict(self, image: Image, reasons: list[str]) -> Fate:
        reason = "; ".join(reasons) or "no rule keeps it"
        return Fate(image.id, image.host, image.volume.path, image.taken, bool(reasons), reason)

    def _guarded(self) -> Iterable[tuple[Image, str]]:
        yield self.images[0].image, "the newest"
        # Should a clock have been set back, the newest by its time is an old one.
        yield max((each.image for each in self.images), key=lambda image: image.number), "the last that was stored"
        clean = [each.image for each in self.images if self._is_clean(each.image)]
        if clean:
            yield clean[0], "the newest clean one"
        if verified := [image for image in clean if image.id in self.good]:
            yield verified[0], "the newest clean one that was verified"

    def _is_clean(self, image: Image) -> bool:
        return image.consistency is Consistency.POINT_IN_TIME and not image.unread and image.id not in self.hurt

    def _wanted(self) -> Iterable[tuple[Image, str]]:
        rules = self.retention
        yield from ((each.image, f"one of the last {rules.last}") for each in self.images[: rules.last])
        if rules.within is not None:
            since = self.images[0].taken - rules.within
            yield from ((each.image, "recent enough") for each in self.images if each.taken >= since)
        for name, slot_of in _SLOTS.items():
            yield from self._slots(name, getattr(rules, name), slot_of)
        if rules.versions is not None:
            yield from self._versions(rules.versions)

    def _slots(self, name: str, count: int, slot_of: Callable[[dt.datetime], str]) -> Iterable[tuple[Image, str]]:
        """The newest image of each of the newest ``count`` slots."""
        seen: set[str] = set()
        for each in self.images:
            slot = slot_of(each.taken)
            if slot not in seen and len(seen) < count:
                seen.add(slot)
                yield each.image, f"{name} {slot}"

    def _versions(self, rules: Versions) -> Iterable[tuple[Image, str]]:
        gone = not self.images[0].image.volume.names.isdisjoint(rules.gone)
        most = rules.deleted if gone else rules.exists
        newer: dt.datetime | None = None
        for rank, each in enumerate(self.images):
            days, since = (rules.extra_days, newer) if newer else (rules.only_days if gone else None, each.taken)
            newer = each.taken
            if most is not None and rank >= most:
                continue
            if days is None or self.now - since <= dt.timedelta(days=days):
                yield each.image, f"version {rank + 1}" + (" of a volume that is gone" if gone else "")


def time_of(image: Image) -> dt.datetime:
    """When it was taken, by its host's clock. Raises ``ClockDoubtful`` if that cannot be read."""
    try:
        taken = dt.datetime.fromisoformat(image.taken)
    except ValueError:
        taken = None
    if taken is None or taken.tzinfo is None:
        raise ClockDoubtful(
            f"its time cannot be read: {image.taken!r}",
            subject=_named(image),
            next_step="`holdstill delete` it, or delete by hand what is to go.",
        )
    return taken.astimezone(dt.UTC)
