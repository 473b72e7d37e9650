"""Reading a whole pack back, and checking every byte."""

from __future__ import annotations

import attrs

from holdstill.errors import Damaged, FormatTooNew, ObjectMissing
from holdstill.repository import packs
from holdstill.repository.codecs import Codecs
from holdstill.repository.condition import MISSING
from holdstill.repository.digests import Digests
from holdstill.repository.index import Flags, KnownPack, mark_of
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


@attrs.frozen
class Scrubber:
    """What it takes to check a pack. Of those that are ``strange`` what is in their blobs is looked at too."""

    target: Target
    digests: Digests
    codecs: Codecs
    strange: Flags

    def check(self, place: int, pack: KnownPack) -> Scrubbed:
        """What looks damaged is read once more: a fault on the way here is none of the pack's."""
        first = self._read(place, pack)
        return first if first.is_well else self._read(place, pack)

    def _read(self, place: int, pack: KnownPack) -> Scrubbed:
        try:
            data = self.target.get(pack.key)
            stored, bad = packs.check_whole(self.digests, pack.key, data)
        except ObjectMissing:
            return Scrubbed(place, 0, MISSING)
        except (Damaged, FormatTooNew) as damage:
            return Scrubbed(place, pack.size, damage.message)
        if mark_of(stored) != pack.mark:
            return Scrubbed(place, pack.size, "its rows are not those that the index has of it")
        if self.strange[place] and not bad:
            bad = packs.check_content(self.digests, self.codecs, stored, data)
        return Scrubbed(place, pack.size, bad=tuple(bad))
