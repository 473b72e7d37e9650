"""Filling an index from what the target shows. Listings are hints: what they lack is found by other ways, or again."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs
import numpy as np

from holdstill.errors import Damaged, FormatTooNew, ObjectMissing
from holdstill.repository import layout, packs, segments
from holdstill.repository.digests import Digests
from holdstill.repository.index import Flags, Index, mark_of
from holdstill.repository.layout import INDEX, PACKS
from holdstill.repository.listing import Listing
from holdstill.repository.local_index import LocalIndex
from holdstill.repository.naming import Naming
from holdstill.repository.rows import Rows
from holdstill.repository.sealing import Signer
from holdstill.spi.target import Target

#: told of an object that is not what it should be
OnDamage = Callable[[Damaged | FormatTooNew], None]


@attrs.define(eq=False)
class Shelf:
    """Index segments and packs of one target, taken into one index. Each segment is read once."""

    target: Target
    digests: Digests
    index: Index = attrs.field(factory=Index)
    local: LocalIndex | None = None
    """What this host has read before; without it every segment is read."""
    naming: Naming = attrs.field(factory=Naming)
    strange: set[str] = attrs.field(factory=set)
    """The packs of which only those tell who may write, and not read, and who are not us."""
    _read: set[str] = attrs.field(factory=set)
    _contradicted: set[str] = attrs.field(factory=set)
    """Segments that tell of packs otherwise than we believe."""
    _asked: set[str] = attrs.field(factory=set)
    """Packs of which strangers told different things, and that were asked themselves."""

    def take_listed_segments(self, on_damage: OnDamage) -> None:
        """Every segment that LIST shows. Those that are gone meanwhile are passed over, damaged ones told of."""
        keys = sorted(listed.key for listed in self.target.list(INDEX) if layout.split_segment_key(listed.key))
        if self.local is None or self._read or self.index.packs:
            self.take_segments(keys, on_damage)
            return
        with self.local.opened(keys) as (self.index, self.naming):
            self._read.update(self.naming.segments)
            known = len(self.index.packs)
            self.take_segments(keys, on_damage)
        self.index.pass_over(~self.naming.named(len(self.index.packs))[:known])

    def start_over(self, on_damage: OnDamage) -> None:
        """Believe nothing that this host has kept: every segment is read."""
        if self.local is not None:
            self.local.forget()
            self.local, self.naming = None, Naming()
            self._read.clear()
            self.index.start_over()
            self.take_listed_segments(on_damage)

    def take_segments(self, keys: Iterable[str], on_damage: OnDamage) -> list[str]:
        """These segments. Returns the keys of those that are not there."""
        missing: list[str] = []
        fresh = [key for key in keys if key not in self._read and layout.split_segment_key(key)]
        self._read.update(fresh)
        # What strangers tell comes last: it must not stand in the way of what others know of the same packs.
        strange = [key for key in fresh if not self._taken(key, missing, on_damage, strangers=False)]
        for key in strange:
            self._taken(key, missing, on_damage, strangers=True)
        return missing

    def _taken(self, key: str, missing: list[str], on_damage: OnDamage, *, strangers: bool) -> bool:
        """Take in a segment. False: it is a stranger's, and those are not asked for."""
        try:
            signer, found = segments.opened(self.digests, key, self.target.get(key))
            if not signer.is_trusted and not strangers:
                return False
            self._take(key, list(found), signer)
        except ObjectMissing:
            missing.append(key)
        except (Damaged, FormatTooNew) as damage:
            on_damage(damage)
        return True

    def _take(self, segment: str, found: list[tuple[str, Rows]], signer: Signer) -> None:
        false = {pack for pack, stored in found if not self._agrees(pack, stored, signer)}
        self.index.add(found)
        told = [self.index.place_of(pack) for pack, _ in found if pack not in false]
        places = [place for place in told if place is not None]
        self.naming.add(segment, places)
        if false:
            self._contradicted.add(segment)
        self.index.use(np.array(places, dtype=np.int64))

    def _agrees(self, pack: str, stored: Rows, signer: Signer) -> bool:
        """Are these the rows that we have of the pack, or that we may take? Notes who tells of it."""
        place = self.index.place_of(pack)
        if place is not None and self.index.packs[place].mark != mark_of(stored):
            if pack not in self.strange:
                return False
            if signer.is_trusted:
                self._supersede(pack, place, stored)
            else:
                self._ask_itself(pack, place)
            place = self.index.place_of(pack)
            if place is None or self.index.packs[place].mark != mark_of(stored):
                return False
        if signer.is_trusted:
            self.strange.discard(pack)
        elif place is None:
            self.strange.add(pack)
        return True

    def _ask_itself(self, pack: str, place: int) -> None:
        """Strangers contradict each other: what its own writer signed at its end decides, if it can be read."""
        if pack in self._asked:
            return
        self._asked.add(pack)
        try:
            stored, signer = packs.read_footer(self.target, self.digests, pack, self.target.size(pack))
        except (ObjectMissing, Damaged, FormatTooNew):
            return
        if self.index.packs[place].mark != mark_of(stored):
            self._supersede(pack, place, stored)
        if signer.is_trusted:
            self.strange.discard(pack)

    def _supersede(self, pack: str, place: int, stored: Rows) -> None:
        """A stranger had told otherwise. Nobody is to vouch for that."""
        self.index.supersede(place, stored)
        self.strange.add(self.index.packs[place].key)

    def not_believed(self) -> list[str]:
        """The segments that tell of some pack otherwise than we believe, as others do."""
        superseded = (self.index.stands_for_none(place) for place in range(len(self.index.packs)))
        flags = np.fromiter(superseded, dtype=np.bool_)
        places = self.naming.by_segment() if flags.any() else {}
        return sorted(self._contradicted | {segment for segment, named in places.items() if flags[named].any()})

    def strangers(self) -> Flags:
        """A flag for each pack of the index: is it strange?"""
        return self.index.packs.named(self.strange, ())

    def listed_packs(self) -> Listing:
        """Every pack that LIST shows."""
        return Listing(self.target.list(PACKS))

    def latest_number(self, listed: Listing) -> int:
        """The highest number of a writer whose packs or segments were seen; 0 if none were."""
        names = map(layout.split_segment_key, self._read)
        return max([listed.latest, *(name[0] for name in names if name)])

    def take_orphans(self, listed: Listing, on_damage: OnDamage) -> None:
        """Packs that are there and that no segment named: their own footers say what they hold."""
        places = listed.places(self.index.packs)
        self.index.use(places[places >= 0])
        for key, told in listed.some(places < 0):
            try:
                size = told if told >= 0 else self.target.size(key)
                stored, signer = packs.read_footer(self.target, self.digests, key, size)
                self._agrees(key, stored, signer)
                self.index.add([(key, stored)])
            except ObjectMissing:
                continue
            except (Damaged, FormatTooNew) as damage:
                on_damage(damage)


def unheard(_: Damaged | FormatTooNew) -> None:
    """Damage is passed over here: the data is stored anew, found elsewhere, or missed by name later."""
