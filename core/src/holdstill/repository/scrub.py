"""Reading a whole pack back, and checking every byte."""

from __future__ import annotations

import attrs

from holdstill.errors import Damaged, FormatTooNew, ObjectMissing
from holdstill.repository import packs
from holdstill.repository.condition import MISSING
from holdstill.repository.digests import Digests
from holdstill.repository.index import KnownPack, mark_of
from holdstill.spi.target import Target


@attrs.frozen
class Scrubbed:
    """What one pack turned out to be: all well if ``problem`` is empty and no row is ``bad``."""

    place: int
    size: int
    problem: str = ""
    bad: tuple[int, ...] = ()

    @property
    def is_well(self) -> bool:
        """Is nothing wrong with it?"""
        return not self.problem and not self.bad


def scrub_one(target: Target, digests: Digests, place: int, pack: KnownPack) -> Scrubbed:
    """What looks damaged is read once more: a fault on the way here is none of the pack's."""
    first = _read_one(target, digests, place, pack)
    return first if first.is_well else _read_one(target, digests, place, pack)


def _read_one(target: Target, digests: Digests, place: int, pack: KnownPack) -> Scrubbed:
    try:
        stored, bad = packs.check_whole(digests, pack.key, target.get(pack.key))
    except ObjectMissing:
        return Scrubbed(place, 0, MISSING)
    except (Damaged, FormatTooNew) as damage:
        return Scrubbed(place, pack.size, damage.message)
    if mark_of(stored) != pack.mark:
        return Scrubbed(place, pack.size, "its rows are not those that the index has of it")
    return Scrubbed(place, pack.size, bad=tuple(bad))
