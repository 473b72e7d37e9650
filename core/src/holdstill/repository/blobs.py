"""Reading blobs back: which packs to read for them, and what is in those, checked."""

from __future__ import annotations

import hmac
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import attrs
import numpy as np

from holdstill.errors import Damaged, ObjectMissing, TargetError
from holdstill.model.buffers import Buffer
from holdstill.model.extents import Extents
from holdstill.model.image import Image, Tree
from holdstill.repository import trees
from holdstill.repository.codecs import Codecs
from holdstill.repository.digests import Digests
from holdstill.repository.index import Flags, Place
from holdstill.repository.layout import ID_SIZE, LARGEST_BLOB, ZERO_ID, BlobKind
from holdstill.repository.loading import Shelf
from holdstill.repository.rows import Rows, head
from holdstill.spi.target import Target

#: one ranged read asks for at most this much, and fills at most so much memory when decoded
_LONGEST_READ: Final = 8 << 20
_LARGEST_PLAIN: Final = 8 << 20
#: reading across so many unwanted bytes is cheaper than another request
_WIDEST_GAP: Final = 128 << 10


@attrs.frozen
class PackRead:
    """One ranged read of a pack, and the blobs wanted from it. Bytes."""

    key: str
    offset: int
    length: int
    places: tuple[Place, ...] = attrs.field(repr=False)

    @property
    def plain_size(self) -> int:
        """The plain bytes of all its blobs."""
        return sum(place.plain_length for place in self.places)


class BlobReader:
    """Blobs by id. Thread-safe. What it knows of the packs grows while it looks for what it misses."""

    read_size: Final = _LONGEST_READ + _LARGEST_PLAIN
    """The most memory, in bytes, that one ``fetch`` takes."""
    plain_size: Final = max(_LARGEST_PLAIN, LARGEST_BLOB)
    """One read decodes to at most so many bytes."""

    def __init__(
        self,
        target: Target,
        digests: Digests,
        codecs: Codecs,
        fanout: int,
        shelf: Shelf,
        ways: Iterable[Callable[[], object]] = (),
    ) -> None:
        """``ways`` to put more on the shelf, cheapest first. Each is gone once when something is missed, and all of
        them again when a pack was lost: a prune may have put its blobs elsewhere.
        """
        self._target = target
        self._digests = digests
        self._codecs = codecs
        self._fanout = fanout
        self._shelf = shelf
        self._lost: set[int] = set()
        self._damaged: set[int] = set()
        self._lock = threading.Lock()
        self._all_ways = tuple(ways)
        self._ways = deque(self._all_ways)
        self._learned = 0

    @property
    def bad_packs(self) -> set[int]:
        """The places in the index of the packs that were missing, or in which a blob was damaged, so far."""
        return self._lost | self._damaged

    def _learn_beyond(self, learned: int) -> bool:
        """Go one more way for rows, unless another thread has since we had gone ``learned`` of them."""
        with self._lock:
            if self._learned == learned:
                if not self._ways:
                    return False
                self._ways.popleft()()
                self._learned += 1
            return True

    # --- trees ----------------------------------------------------------------------------------

    def walk(self, tree: Tree, kind: BlobKind) -> Iterator[tuple[int, int, bytes | None]]:
        """The ids of a tree whose elements are ``kind`` blobs: ``(first index, count, ids or None)``, in order.

        ``ids`` are ``count`` times 32 bytes, zero ids among them; None stands for a run of zero ids only. Memory: a
        few pages. Raises ``Damaged``.
        """
        return trees.walk(self, self._fanout, tree, kind)

    def page_id(self, ids: bytes) -> bytes:
        """The id of the page that lists these."""
        return self._digests.blob_id(BlobKind.PAGE, ids)

    def map(self, image: Image) -> Iterator[Extents]:
        """The image's block map, piece by piece, ascending. Raises ``Damaged``."""
        return trees.map_of(self, self._fanout, image)

    # --- blobs ----------------------------------------------------------------------------------

    def plan(self, kind: BlobKind, ids: Sequence[bytes]) -> list[PackRead]:
        """The reads that bring every distinct id (zero ids excepted), each pack's in a row, by rising offset.

        Raises ``Damaged`` if no pack is known to hold one.
        """
        wanted = list(dict.fromkeys(blob_id for blob_id in ids if blob_id != ZERO_ID))
        reads: list[PackRead] = []
        together: list[Place] = []
        for place in sorted(self._places(kind, wanted), key=lambda place: (place.pack, place.offset)):
            if together and not _fits(together, place):
                reads.append(_read_of(together))
                together = []
            together.append(place)
        return [*reads, _read_of(together)] if together else reads

    def missing(self, kind: BlobKind, ids: bytes) -> int:
        """How many of these ids (32 bytes each, zero ids count as there) no pack is known to hold."""
        wanted = [ids[at * ID_SIZE : (at + 1) * ID_SIZE] for at in trees.filled(ids)]
        seen, _ = self._located(kind, wanted)
        return int(np.count_nonzero(~seen))

    def _places(self, kind: BlobKind, ids: Sequence[bytes]) -> Iterator[Place]:
        seen, rows = self._located(kind, ids)
        if not seen.all():
            missing = ids[int(np.argmin(seen))]
            raise Damaged("no pack that is there holds it", subject=f"{kind.name.lower()} {missing.hex()}")
        return (self._shelf.index.place(row) for row in rows)

    def _located(self, kind: BlobKind, ids: Sequence[bytes]) -> tuple[Flags, Rows]:
        joined = b"".join(ids)
        while True:
            learned = self._learned
            seen, rows = self._shelf.index.locate(kind, joined, self._not_lost)
            if seen.all() or not self._learn_beyond(learned):
                return seen, rows

    def _not_lost(self, rows: Rows) -> Flags:
        return np.isin(rows["pack"], list(self._lost), invert=True)

    def fetch(self, read: PackRead) -> list[tuple[bytes, bytes]]:
        """Id and plain bytes of each blob of the read, all checked.

        A blob that is missing or damaged there is looked for in other packs. Raises ``Damaged`` naming the pack.
        """
        room = memoryview(bytearray(read.plain_size))
        return [(place.id, bytes(part)) for place, part in self.fetch_into(read, room)]

    def fetch_into(self, read: PackRead, room: memoryview) -> list[tuple[Place, memoryview]]:
        """The same, decoded into ``room`` (``read.plain_size`` bytes at least), back to back in the order of the pack.

        Returns where each blob was and the part of ``room`` that it fills.
        """
        rooms = list(_cut(room, read.places))
        try:
            data = memoryview(self._range(read.key, read.offset, read.length, read.places[0].pack))
        except Damaged as damage:
            for place, part in rooms:
                self._elsewhere(place, damage, part)
            return rooms
        for place, part in rooms:
            self._open(place, data[place.offset - read.offset :][: place.length], part)
        return rooms

    def _range(self, key: str, offset: int, length: int, pack: int) -> bytes:
        """Bytes of a pack. Raises ``Damaged`` if it is missing or too short, what the target raises otherwise."""
        try:
            return self._target.get_range(key, offset, length)
        except ObjectMissing as error:
            self._lose(pack)
            raise Damaged("the pack is missing", subject=key) from error
        except TargetError as error:
            size = self._target.size(key)
            if size >= offset + length:
                raise
            self._lose(pack)
            raise Damaged(f"the pack has only {size} bytes", subject=key) from error

    def _lose(self, pack: int) -> None:
        with self._lock:
            if pack not in self._lost:
                self._lost.add(pack)
                self._ways = deque(self._all_ways)

    def _open(self, place: Place, encoded: Buffer, room: memoryview) -> None:
        try:
            self._decode(place, encoded, room)
        except Damaged as damage:
            self._elsewhere(place, damage, room)

    def _decode(self, place: Place, encoded: Buffer, room: memoryview) -> None:
        """Nothing is decoded before its digest is right; nothing is handed out under a wrong id."""
        row = head(place.id, place.kind, place.codec, place.plain_length, place.length)
        if not hmac.compare_digest(self._digests.of_blob(row, encoded), place.digest):
            self._damaged.add(place.pack)
            raise Damaged(f"the blob at {place.offset} is not what its digest says", subject=place.key)
        try:
            self._codecs.decode_into(place.codec, self._digests.sealing.open_data(encoded, row), room)
        except Damaged as damage:
            raise Damaged(f"at {place.offset}: {damage.message}", subject=place.key) from damage
        if self._digests.blob_id(BlobKind(place.kind), room) != place.id:
            raise Damaged(f"the blob at {place.offset} is not the one that its id names", subject=place.key)

    def _elsewhere(self, bad: Place, damage: Damaged, room: memoryview) -> None:
        """The same blob from any other pack, or the damage that made us look."""
        tried = {bad.pack}
        while True:
            learned = self._learned
            for place in self._shelf.index.places(BlobKind(bad.kind), bad.id):
                if place.pack not in tried:
                    tried.add(place.pack)
                    try:
                        encoded = self._range(place.key, place.offset, place.length, place.pack)
                        return self._decode(place, encoded, room)
                    except Damaged:
                        continue
            if not self._learn_beyond(learned):
                raise damage


def _cut(room: memoryview, places: Sequence[Place]) -> Iterator[tuple[Place, memoryview]]:
    at = 0
    for place in places:
        yield place, room[at : at + place.plain_length]
        at += place.plain_length


def _fits(together: list[Place], place: Place) -> bool:
    first, last = together[0], together[-1]
    return (
        place.pack == first.pack
        and place.offset - (last.offset + last.length) <= _WIDEST_GAP
        and place.offset + place.length - first.offset <= _LONGEST_READ
        and sum(each.plain_length for each in together) + place.plain_length <= _LARGEST_PLAIN
    )


def _read_of(together: list[Place]) -> PackRead:
    first, last = together[0], together[-1]
    return PackRead(first.key, first.offset, last.offset + last.length - first.offset, tuple(together))
