"""Which packs a verification reads this time: those that were read longest ago, as many as it may."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Mapping, Sequence

import attrs
import numpy as np

from holdstill.repository.index import Flags, KnownPack


def stamp(moment: dt.datetime) -> str:
    """RFC 3339 UTC with microseconds: texts that sort as the moments do."""
    return moment.astimezone(dt.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


@attrs.frozen
class Reading:
    """How much to read. What is left out is what was read last, so that all is read in turn."""

    share: float = 1.0
    """Of the bytes of all packs that are asked for, 0 to 1."""
    max_age: dt.timedelta | None = None
    """Pass over packs that were read, and good, so lately."""
    budget: float | None = None
    """Begin no more after so many seconds."""

    def chosen(
        self, packs: Sequence[KnownPack], wanted: Flags, last_read: Mapping[str, str], now: dt.datetime
    ) -> list[tuple[int, KnownPack]]:
        """Places and packs, in the order of reading: those never read first (shuffled), then the longest ago."""
        asked = [(place, packs[place]) for place in np.flatnonzero(wanted).tolist()]
        random.shuffle(asked)
        asked.sort(key=lambda each: last_read.get(each[1].key, ""))
        if self.max_age is not None:
            least = stamp(now - self.max_age)
            asked = [each for each in asked if last_read.get(each[1].key, "") < least]
        room = self.share * sum(packs[place].size for place in np.flatnonzero(wanted).tolist())
        chosen = []
        for each in asked:
            if room <= 0:
                break
            room -= each[1].size
            chosen.append(each)
        return chosen
