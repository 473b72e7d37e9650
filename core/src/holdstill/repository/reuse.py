"""What a writer may reuse: rows in packs that are open for it, and that are there as far as one can see."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from holdstill.errors import Damaged, FormatTooNew
from holdstill.repository import commits, layout
from holdstill.repository.digests import Digests
from holdstill.repository.index import Flags
from holdstill.repository.layout import IMAGES, BlobKind
from holdstill.repository.ledger import Ledger
from holdstill.repository.loading import Shelf
from holdstill.repository.rows import Rows
from holdstill.spi.target import Target


class Stock:
    """The packs of others, as they were when the writer began. ``locate`` is thread-safe."""

    def __init__(self, shelf: Shelf, listed: dict[str, int], target: Target, digests: Digests) -> None:
        self._shelf = shelf
        self._count = len(shelf.index.packs)
        self._listed = listed
        self._open = np.zeros(self._count, dtype=np.bool_)
        self._reused = np.zeros(self._count, dtype=np.bool_)
        self._orphan = ~shelf.naming.named(self._count)
        self._settled = np.zeros(self._count, dtype=np.bool_)
        self._vouched = _Vouched(target, digests)

    def close(self, ledger: Ledger) -> None:
        """Leave out what the ledger closes, and what LIST does not show in its right size: storing anew is safe."""
        for place, pack in enumerate(self._shelf.index.packs[: self._count]):
            size = self._listed.get(pack.key)
            self._open[place] = size in {pack.size, -1} and not ledger.closed(pack.key)

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

    def to_adopt(self) -> Iterator[tuple[str, Rows]]:
        """Reused packs that no record's segment names, and all orphans, with their rows.

        They are named again by this writer, so that no restore depends on a stranger's segment.
        """
        index = self._shelf.index
        asked = np.zeros(len(index.packs), dtype=np.bool_)
        asked[: self._count] = self._open & ~self._settled & (self._reused | self._orphan)
        self._settled |= asked[: self._count]
        wanted = asked & ~self._shelf.naming.named_by(self._vouched.names, asked)
        return index.rows_of(wanted)


class _Vouched:
    """Which segments a commit record names. A record is read only when one of its segments is in question."""

    def __init__(self, target: Target, digests: Digests) -> None:
        self._target = target
        self._digests = digests
        self._keys: dict[int, list[str]] | None = None
        self._named: dict[int, frozenset[str]] = {}

    def names(self, segment: str) -> bool:
        split = layout.split_segment_key(segment)
        if split is None:
            return True
        number = split[0]
        if number not in self._named:
            self._named[number] = self._read(number)
        return segment in self._named[number]

    def _read(self, number: int) -> frozenset[str]:
        segments: set[str] = set()
        for key in self._commit_keys().get(number, []):
            try:
                record = commits.state(self._target, self._digests, key)
            except (Damaged, FormatTooNew):
                continue
            segments.update(record.segments if record else ())
        return frozenset(segments)

    def _commit_keys(self) -> dict[int, list[str]]:
        if self._keys is None:
            self._keys = {}
            for listed in self._target.list(IMAGES):
                if split := layout.split_commit_key(listed.key):
                    self._keys.setdefault(split[0], []).append(listed.key)
        return self._keys
