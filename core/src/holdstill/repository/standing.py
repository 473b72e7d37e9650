"""What a prune knows of the repository: its ledger, its images, its packs."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

import attrs
import numpy as np
from numpy.typing import NDArray

from holdstill.errors import Damaged, ObjectMissing
from holdstill.model.image import Image
from holdstill.repository import commits, layout
from holdstill.repository.blobs import BlobReader
from holdstill.repository.index import Flags
from holdstill.repository.layout import IMAGES, BlobKind
from holdstill.repository.ledger import Begin, Ledger
from holdstill.repository.listing import Listing, Sizes
from holdstill.repository.loading import Shelf, unheard
from holdstill.repository.marking import Marking, Wanted
from holdstill.repository.records import Upkeep
from holdstill.repository.repository import Repository
from holdstill.repository.rows import Rows

#: no list is longer: it is read in one piece
LONGEST_LIST: Final = 1 << 16


@attrs.define
class Standing:
    """Read from the store in this run, in the order in which it is asked for. Not thread-safe."""

    repository: Repository
    ledger: Ledger = attrs.field(init=False)
    images: dict[int, Image] = attrs.field(factory=dict)
    """By number. An image that was deleted meanwhile may still be here: that keeps more, never less."""
    undecided: dict[int, Begin] = attrs.field(factory=dict)
    """Writers that may still commit, as far as we know."""
    shelf: Shelf = attrs.field(init=False)
    listed: Listing = attrs.field(init=False)
    _shown: dict[str, int] = attrs.field(init=False)
    """The commit keys that a listing shows, and sizes."""
    _settled: set[int] = attrs.field(factory=set)
    _named: set[str] = attrs.field(factory=set)
    _told: Sizes = attrs.field(factory=lambda: np.zeros(0, dtype=np.int64))
    """The sizes of packs as the listing has them."""
    _sizes: dict[int, int] = attrs.field(factory=dict)
    """What was asked for."""
    _doubted: set[int] = attrs.field(factory=set)

    def __attrs_post_init__(self) -> None:
        self.repository.must_read()
        self.ledger = self.repository.ledger(kept=True)
        self._shown = {listed.key: listed.size for listed in self.repository.target.list(IMAGES)}
        self.read_ledger()
        self._know_all(self._shown)
        self.read_packs()

    def _know_all(self, shown: Collection[str]) -> None:
        """Raises ``Damaged`` for an image that is shown and whose writer is not in the ledger, which was read after:
        the ledger has lost an entry, and there may be more images of which it does not tell.
        """
        target, digests = self.repository.target, self.repository.digests
        known = {begin.commit for begin in self.ledger.begun.values()}
        for key in shown:
            unknown = key not in known and layout.split_commit_key(key)
            if unknown and isinstance(commits.state(target, digests, key), Image):
                raise Damaged(
                    "the ledger has no entry of this image's writer",
                    subject=key,
                    next_step="Nothing is deleted meanwhile. Run verify; `holdstill delete` the image if need be.",
                )

    def read_ledger(self) -> None:
        """To its end; and what became of every writer that was not decided yet.

        Raises ``Damaged`` or ``FormatTooNew`` for a record that cannot be read: it could be an image's.
        """
        self.ledger.read()
        for number, begin in self.ledger.begun.items():
            if number in self._settled:
                continue
            record = self.repository.record(begin.commit, self._shown.get(begin.commit, -1))
            if record is None:
                self.undecided[number] = begin
                continue
            self.undecided.pop(number, None)
            self._settled.add(number)
            self._named.update(record.segments)
            if isinstance(record, Image):
                self.images[number] = record
            if isinstance(record, Upkeep):
                self._named.difference_update(record.replaces)
        self.repository.keep()

    def read_packs(self) -> None:
        """Every segment that is listed or named, and the rows of packs that none names."""
        self.shelf = self.repository.shelf(local=False)
        self.shelf.take_listed_segments(unheard)
        self.shelf.take_segments(sorted(self._named), unheard)
        self.listed = self.shelf.listed_packs()
        self.shelf.take_orphans(self.listed, unheard)
        self.shelf.index.gather()
        self._told, self._sizes = self.listed.sizes(self.shelf.index.packs), {}
        seen = self.shelf.latest_number(self.listed)
        if self.ledger.end < seen:
            self.read_ledger()  # they may have begun since
        self.ledger.must_reach(seen)

    def take_segments(self, keys: Collection[str]) -> None:
        """These as well; a record names them."""
        self.shelf.take_segments(keys, unheard)

    def settled(self, number: int) -> bool:
        """Has this writer committed, or will it never?"""
        return number in self._settled

    @property
    def all_settled(self) -> Collection[int]:
        """The writers of which that is so."""
        return self._settled

    def needed(self) -> Iterator[Wanted]:
        """What the images need. Raises ``Damaged`` for a page that is in no pack any more."""
        ways = (
            lambda: self.shelf.take_listed_segments(unheard),
            lambda: self.shelf.take_orphans(self.shelf.listed_packs(), unheard),
        )
        reader = self.repository.reader_of(self.shelf, ways)
        yield from Marking(reader, self.repository.config.fanout).needed(self.images.values())
        self.doubt(reader)

    def doubt(self, reader: BlobReader) -> None:
        """Rely no more on packs in which ``reader`` met damage."""
        self._doubted |= reader.bad_packs

    def open_packs(self) -> Flags:
        """For each pack of the index: does no list name it, and is it there, whole as far as its size tells, and as far
        as this run has read of it?

        One flag more, false, stands for packs that were learned of later.
        """
        flags = self._whole(self.on_list())
        flags[list(self._doubted)] = False
        return flags

    def on_list(self) -> Flags:
        """For each pack of the index: does a list name it?"""
        return self.shelf.index.packs.named(self.ledger.closed_packs, self.ledger.closed_numbers)

    def _whole(self, but: Flags) -> Flags:
        """The packs that are there in their right size, those left out that have a flag. One flag more, as above."""
        sizes = self.shelf.index.packs.table["size"].astype(np.int64)
        flags = np.zeros(len(sizes) + 1, dtype=np.bool_)
        flags[: len(self._told)] = self._told == sizes[: len(self._told)]
        flags[:-1] &= ~but
        for place in np.flatnonzero(~flags[:-1] & ~but).tolist():
            flags[place] = self.size_of(place) == sizes[place]
        return flags

    @property
    def doubts(self) -> int:
        """How many packs are not relied on because of what this run met in them. Never falls."""
        return len(self._doubted)

    def damaged(self) -> Iterator[str]:
        """The keys of the packs in which this run met damage, those that may go anyway left out."""
        keys = sorted(self.shelf.index.packs[place].key for place in self._doubted)
        return (key for key in keys if not self.ledger.closed(key))

    def homes(self) -> Flags:
        """Of the open packs those whose rows are in a segment that a record names, so that no listing is needed to
        find what is in them. One flag more, as above.
        """
        return self.shelf.naming.named_by(self._named.__contains__, self.open_packs())

    def strangers(self) -> Flags:
        """The packs of which only strangers tell. One flag more, as above."""
        return np.append(self.shelf.strangers(), False)

    def there(self) -> Flags:
        """The packs that are there, whole as far as their size tells. One flag more, as above."""
        return self._whole(np.zeros(len(self.shelf.index.packs), dtype=np.bool_))

    def size_of(self, place: int) -> int:
        """The pack's size as it is there, -1 if it is not. What the listing does not say is asked for, once."""
        pack = self.shelf.index.packs[place]
        if place < len(self._told) and self._told[place] == pack.size:
            return pack.size
        if place not in self._sizes:
            try:
                self._sizes[place] = self.repository.target.size(pack.key)
            except ObjectMissing:
                self._sizes[place] = -1
        return self._sizes[place]

    def sizes(self) -> Sizes:
        """The same of every pack of the index."""
        sizes = self.shelf.index.packs.table["size"].astype(np.int64)
        right = np.zeros(len(sizes), dtype=np.bool_)
        right[: len(self._told)] = self._told == sizes[: len(self._told)]
        for place in np.flatnonzero(~right).tolist():
            sizes[place] = self.size_of(place)
        return sizes

    def bound(self) -> int:
        """Lists at lower places wait for nobody."""
        return min(self.undecided, default=self.ledger.end + 1)

    def swept_packs(self) -> Iterator[int]:
        """The packs that are there and on a list that waits for nobody."""
        ready = [entry for place, entry in self.ledger.lists.items() if place < self.bound()]
        names = frozenset().union(*(entry.packs for entry in ready))
        numbers = frozenset().union(*(entry.numbers for entry in ready))
        named = self.shelf.index.packs.named(names, numbers)
        return (place for place in np.flatnonzero(named).tolist() if self.size_of(place) >= 0)


def within(flags: Flags, rows: Rows) -> Flags:
    """The flags of the rows' packs; ``flags`` ends with the one for packs beyond it."""
    found: Flags = flags[np.minimum(rows["pack"], len(flags) - 1)]
    return found


def homeless(standing: Standing) -> set[tuple[BlobKind, bytes]]:
    """Each needed blob, by kind and id, that no home holds. Looking may find homes to be none: then all is looked at
    again.
    """
    while True:
        doubts = standing.doubts
        found = set(_outside(standing, standing.homes()))
        if standing.doubts == doubts:
            return found


@attrs.frozen
class Preferring:
    """Looks for blobs in packs that have a flag; what strangers tell is taken only where nobody else tells anything."""

    standing: Standing
    flags: Flags
    strange: Flags

    @classmethod
    def of(cls, standing: Standing, flags: Flags) -> Preferring:
        """``flags`` as ``Standing`` makes them, just now."""
        return cls(standing, flags, standing.strangers())

    def locate(self, kind: BlobKind, ids: bytes) -> tuple[Flags, Rows]:
        """See ``Index.locate``."""
        seen, found = self._in(self.flags & ~self.strange, kind, ids)
        left = np.flatnonzero(~seen)
        if left.size and self.strange.any():
            seen[left], found[left] = self._in(self.flags & self.strange, kind, _some(ids, left))
        return seen, found

    def missing(self, kind: BlobKind, ids: bytes, there: Flags) -> NDArray[np.int64]:
        """Which of these ids are in none of the packs. A stranger's word is not enough to let go of a copy that anybody
        else knows of, in a pack that is ``there``.
        """
        seen, found = self.locate(kind, ids)
        if seen.any() and self.strange.any():
            known, _ = self._in(there & ~self.flags, kind, ids)
            seen &= ~(known & within(self.strange, found))
        return np.flatnonzero(~seen)

    def uncounted(self, kind: BlobKind, ids: bytes, counted: Flags) -> Iterator[Rows]:
        """The rows to count for these ids: one for each, and every one where only strangers tell, as any of them may
        lie. ``counted``: flags of rows, set here, that are not handed out again.
        """
        seen, found = self.locate(kind, ids)
        while seen.any():
            _, first = np.unique(found["ordinal"][seen], return_index=True)
            rows = found[seen][first]
            fresh = rows[~counted[rows["ordinal"]]]
            counted[fresh["ordinal"]] = True
            yield fresh
            ids = _some(ids, np.flatnonzero(seen & within(self.strange, found)))
            seen, found = self._more(kind, ids, counted)

    def _more(self, kind: BlobKind, ids: bytes, counted: Flags) -> tuple[Flags, Rows]:
        def usable(rows: Rows) -> Flags:
            good = within(self.flags & self.strange, rows)
            good[good] = ~counted[rows["ordinal"][good]]
            return good

        return self.standing.shelf.index.locate(kind, ids, usable)

    def _in(self, flags: Flags, kind: BlobKind, ids: bytes) -> tuple[Flags, Rows]:
        return self.standing.shelf.index.locate(kind, ids, lambda rows: within(flags, rows))


def _outside(standing: Standing, flags: Flags) -> Iterator[tuple[BlobKind, bytes]]:
    preferring, there = Preferring.of(standing, flags), standing.there()
    for kind, ids in standing.needed():
        for at in preferring.missing(kind, ids, there).tolist():
            yield kind, ids[at * layout.ID_SIZE : (at + 1) * layout.ID_SIZE]


def _some(ids: bytes, chosen: NDArray[np.int64]) -> bytes:
    return np.frombuffer(ids, dtype=f"V{layout.ID_SIZE}")[chosen].tobytes()
