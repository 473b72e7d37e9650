"""Filling an index from what the target shows. Listings are hints: what they lack is found by other ways, or again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import attrs

from holdstill.errors import Damaged, FormatTooNew, ObjectMissing
from holdstill.repository import layout, packs, segments
from holdstill.repository.digests import Digests
from holdstill.repository.index import Index
from holdstill.repository.layout import INDEX, PACKS
from holdstill.repository.rows import Rows
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
    _read: set[str] = attrs.field(factory=set)

    def __attrs_post_init__(self) -> None:
        self.index = Index(self.digests.sealing.pack_extra)

    def take_listed_segments(self, on_damage: OnDamage) -> None:
        """Every segment that LIST shows. Those that are gone meanwhile are passed over, damaged ones told of."""
        self.take_segments(sorted(listed.key for listed in self.target.list(INDEX)), on_damage)

    def take_segments(self, keys: Iterable[str], on_damage: OnDamage) -> list[str]:
        """These segments. Returns the keys of those that are not there."""
        missing = []
        for key in keys:
            if key not in self._read and layout.split_segment_key(key):
                self._read.add(key)
                try:
                    self.index.add(self._noting(key, segments.unseal(self.digests, key, self.target.get(key))))
                except ObjectMissing:
                    missing.append(key)
                except (Damaged, FormatTooNew) as damage:
                    on_damage(damage)
        return missing

    def _noting(self, segment: str, found: Iterable[tuple[str, Rows]]) -> Iterator[tuple[str, Rows]]:
        for pack, stored in list(found):
            self.naming.setdefault(pack, []).append(segment)
            yield pack, stored

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
                    stored, _ = packs.read_footer(self.target, self.digests, key, size)
                    self.index.add([(key, stored)])
                except ObjectMissing:
                    continue
                except (Damaged, FormatTooNew) as damage:
                    on_damage(damage)


def unheard(_: Damaged | FormatTooNew) -> None:
    """Damage is passed over here: the data is stored anew, found elsewhere, or missed by name later."""
