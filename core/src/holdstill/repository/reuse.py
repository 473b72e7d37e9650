"""What a writer may reuse: rows in packs that are open for it, and that are there as far as one can see."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import numpy as np

from holdstill.errors import Damaged, FormatTooNew
from holdstill.repository import commits, layout
from holdstill.repository.digests import Digests
from holdstill.repository.index import Flags
from holdstill.repository.layout import IMAGES, BlobKind
from holdstill.repository.ledger import Ledger
from holdstill.repository.listing import UNTOLD, Listing
from holdstill.repository.loading import Shelf
from holdstill.repository.records import Void
from holdstill.repository.rows import Rows
from holdstill.spi.target import Target


class Stock:
    """The packs of others, as they were when the writer began. ``locate`` is thread-safe."""

    def __init__(self, shelf: Shelf, listed: Listing, target: Target, digests: Digests) -> None:
        self._shelf = shelf
        self._count = len(shelf.index.packs)
        self._listed = listed
        self._open = np.zeros(self._count, dtype=np.bool_)
        self._reused = np.zeros(self._count, dtype=np.bool_)
        self._orphan = ~shelf.naming.named(self._count)
        self._settled = np.zeros(self._count, dtype=np.bool_)
        self._adopted = np.zeros(self._count, dtype=np.bool_)
        self._needed = np.zeros(self._count, dtype=np.int64)
        self._vouched = _Vouched(target, digests)

    def close(self, ledger: Ledger) -> None:
        """Leave out what the ledger closes, what LIST does not show in its right size, and what only strangers tell of:
        storing anew is safe.
        """
        packs = self._shelf.index.packs
        sizes = self._listed.sizes(packs)
        there = (sizes == packs.table["size"]) | (sizes == UNTOLD)
        closed = packs.named(ledger.closed_packs, ledger.closed_numbers)
        self._open = (there & ~self._shelf.strangers() & ~closed)[: self._count]

    def locate(self, kind: BlobKind, ids: bytes) -> tuple[Flags, Rows]:
        """See ``Index.locate``: the oldest rows that may be relied on; whoever asks relies on them."""
        seen, found = self._shelf.index.locate(kind, ids, self._usable)
        owners = found["pack"][seen]
        self._reused[owners[owners < self._count]] = True
        return seen, found

    def _usable(self, found: Rows) -> Flags:
        """Rows of our own packs, and of open ones."""
        usable = found["pack"] >= self._count
        others = ~usable
        usable[others] = self._open[found["pack"][others]]
        return usable

    def needed(self, found: Rows) -> None:
        """An image needs these rows, none of which is told of twice."""
        others = found["pack"] < self._count
        np.add.at(self._needed, found["pack"][others], found["encoded"][others])

    def resumed_size(self) -> int:
        """Encoded bytes of what was told of as needed, in packs that were adopted from writers that will not commit."""
        adopted = np.flatnonzero(self._adopted & (self._needed > 0)).tolist()
        return sum(int(self._needed[place]) for place in adopted if self._is_of_the_dead(place))

    def _is_of_the_dead(self, place: int) -> bool:
        split = layout.split_pack_key(self._shelf.index.packs[place].key)
        return split is not None and self._vouched.is_void(split[0])

    def reused(self) -> list[str]:
        """The keys of the packs of others that were relied on."""
        return [self._shelf.index.packs[place].key for place in np.flatnonzero(self._reused).tolist()]

    def to_adopt(self) -> Iterator[tuple[str, Rows]]:
        """Reused packs that no record's segment names, and all orphans, with their rows.

        They are named again by this writer, so that no restore depends on a stranger's segment.
        """
        index = self._shelf.index
        asked = np.zeros(len(index.packs), dtype=np.bool_)
        asked[: self._count] = self._open & ~self._settled & (self._reused | self._orphan)
        self._settled |= asked[: self._count]
        wanted = asked & ~self._shelf.naming.named_by(self._vouched.names, asked)
        self._adopted |= wanted[: self._count]
        return index.rows_of(wanted)


@attrs.frozen
class _Decided:
    """What stands at a writer's commit key."""

    segments: frozenset[str]
    void: bool


class _Vouched:
    """Which segments a commit record names. A record is read only when one of its segments is in question."""

    def __init__(self, target: Target, digests: Digests) -> None:
        self._target = target
        self._digests = digests
        self._keys: dict[int, list[str]] | None = None
        self._known: dict[int, _Decided] = {}

    def names(self, segment: str) -> bool:
        split = layout.split_segment_key(segment)
        return split is None or segment in self._of(split[0]).segments

    def is_void(self, number: int) -> bool:
        """Did this writer end without a commit, or was its image forgotten?"""
        return self._of(number).void

    def _of(self, number: int) -> _Decided:
        if number not in self._known:
            self._known[number] = self._read(number)
        return self._known[number]

    def _read(self, number: int) -> _Decided:
        segments: set[str] = set()
        void = False
        for key in self._commit_keys().get(number, []):
            try:
                record = commits.state(self._target, self._digests, key)
            except (Damaged, FormatTooNew):
                continue
            segments.update(record.segments if record else ())
            void |= isinstance(record, Void)
        return _Decided(frozenset(segments), void)

    def _commit_keys(self) -> dict[int, list[str]]:
        if self._keys is None:
            self._keys = {}
            for listed in self._target.list(IMAGES):
                if split := layout.split_commit_key(listed.key):
                    self._keys.setdefault(split[0], []).append(listed.key)
        return self._keys
