"""Filling an index from what the target shows. Listings are hints: what they lack is found by other ways, or again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import attrs
import numpy as np

from holdstill.errors import Damaged, FormatTooNew, ObjectMissing
from holdstill.repository import layout, packs, segments
from holdstill.repository.digests import Digests
from holdstill.repository.index import Flags, Index, mark_of
from holdstill.repository.layout import INDEX, PACKS
from holdstill.repository.rows import Rows
from holdstill.repository.sealing import Signer
from holdstill.spi.target import Target

#: told of an object that is not what it should be
OnDamage = Callable[[Damaged | FormatTooNew], None]


@attrs.define
class Shelf:
    """Index segments and packs of one target, taken into one index. Each segment is read once."""

    target: Target
    digests: Digests
    index: Index = attrs.field(init=False)
    naming: dict[str, list[str]] = attrs.field(factory=dict)
    """For each pack the segments that name it."""
    strange: set[str] = attrs.field(factory=set)
    """The packs of which only those tell who may write, and not read, and who are not us."""
    _read: set[str] = attrs.field(factory=set)

    def __attrs_post_init__(self) -> None:
        self.index = Index(self.digests.sealing.pack_extra)

    def take_listed_segments(self, on_damage: OnDamage) -> None:
        """Every segment that LIST shows. Those that are gone meanwhile are passed over, damaged ones told of."""
        self.take_segments(sorted(listed.key for listed in self.target.list(INDEX)), on_damage)

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
            self.index.add(self._noting(key, found, signer))
        except ObjectMissing:
            missing.append(key)
        except (Damaged, FormatTooNew) as damage:
            on_damage(damage)
        return True

    def _noting(self, segment: str, found: Iterable[tuple[str, Rows]], signer: Signer) -> Iterator[tuple[str, Rows]]:
        for pack, stored in list(found):
            self.naming.setdefault(pack, []).append(segment)
            self._note_who_tells(pack, stored, signer)
            yield pack, stored

    def _note_who_tells(self, pack: str, stored: Rows, signer: Signer) -> None:
        place = self.index.place_of(pack)
        if not signer.is_trusted and place is None:
            self.strange.add(pack)
        elif signer.is_trusted and (place is None or self.index.packs[place].mark == mark_of(stored)):
            self.strange.discard(pack)

    def strangers(self) -> Flags:
        """A flag for each pack of the index: is it strange?"""
        return np.array([pack.key in self.strange for pack in self.index.packs], dtype=np.bool_)

    def listed_packs(self) -> dict[str, int]:
        """Key and size (-1: not told) of every pack that LIST shows."""
        return {listed.key: listed.size for listed in self.target.list(PACKS) if layout.split_pack_key(listed.key)}

    def latest_number(self, listed: dict[str, int]) -> int:
        """The highest number of a writer whose packs or segments were seen; 0 if none were."""
        names = (*map(layout.split_segment_key, self._read), *map(layout.split_pack_key, listed))
        return max((name[0] for name in names if name), default=0)

    def take_orphans(self, listed: dict[str, int], on_damage: OnDamage) -> None:
        """Packs that are there and that no segment named: their own footers say what they hold."""
        for key in sorted(listed.keys() - self.naming.keys()):
            if self.index.place_of(key) is None:
                try:
                    size = listed[key] if listed[key] >= 0 else self.target.size(key)
                    stored, signer = packs.read_footer(self.target, self.digests, key, size)
                    self._note_who_tells(key, stored, signer)
                    self.index.add([(key, stored)])
                except ObjectMissing:
                    continue
                except (Damaged, FormatTooNew) as damage:
                    on_damage(damage)


def unheard(_: Damaged | FormatTooNew) -> None:
    """Damage is passed over here: the data is stored anew, found elsewhere, or missed by name later."""
