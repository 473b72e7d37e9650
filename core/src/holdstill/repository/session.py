"""One writer at work: from its place in the ledger to its commit."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Self

import attrs
import numpy as np

from holdstill.errors import Damaged, FormatTooNew, HoldstillError, ObjectMissing, WorkersLost
from holdstill.model.buffers import Buffer
from holdstill.model.image import Image
from holdstill.repository import commits, layout, packs
from holdstill.repository.codecs import Codecs
from holdstill.repository.digests import Digests
from holdstill.repository.index import Index, mark_of
from holdstill.repository.lanes import Lanes
from holdstill.repository.layout import ZERO_ID, BlobKind
from holdstill.repository.ledger import Begin
from holdstill.repository.locks import Renewal
from holdstill.repository.maps import MapWriter
from holdstill.repository.needs import Needs
from holdstill.repository.pages import TreeBuilder
from holdstill.repository.pulse import Pulse
from holdstill.repository.records import Upkeep, Void
from holdstill.repository.reuse import Stock
from holdstill.repository.rows import Encoded, Rows, encoded_blob
from holdstill.repository.uploads import Uploads
from holdstill.spi.target import Target

#: what is done around a session's number, so that it is settled even if this process is killed
Kept = Callable[["WriterSession"], AbstractContextManager[None]]


class WriterSession:
    """Stores blobs and commits one image. Made by ``Repository.begin``.

    ``known`` and ``encode`` may be called by many threads at once; everything else by one. An id may be appended to
    ``chunks()`` only after ``known`` said yes to it or its blob was given to ``add`` in this session: that is what
    lets an image rely on it.
    """

    def __init__(
        self,
        target: Target,
        digests: Digests,
        codecs: Codecs,
        *,
        number: int,
        begin: Begin,
        index: Index,
        stock: Stock,
        pack_size: int,
        fanout: int,
        exclusive: bool,
        renewal: Renewal | None = None,
    ) -> None:
        self.number = number
        self.nonce = begin.nonce
        self.commit_key = begin.commit
        self._host = begin.host
        self._target = target
        self._digests = digests
        self._codecs = codecs
        self._index = index
        self._stock = stock
        self._fanout = fanout
        self._exclusive = exclusive
        self._renewal = renewal
        self._uploads = Uploads(target, exclusive=exclusive)
        self._lanes = Lanes(number, digests, self._uploads, pack_size, self._packed)
        self._needs = Needs()
        self._fresh: dict[tuple[BlobKind, bytes], int] = {}
        self._decided = False
        self._pulse = Pulse(target, digests, number)

    @property
    def stored_size(self) -> int:
        """Bytes of packs and segments that this session has written; all of them after ``flush``."""
        return self._lanes.stored_size

    @property
    def resumed_size(self) -> int:
        """After ``flush``: encoded bytes that were needed, and that runs had stored which ended without a commit."""
        return self._stock.resumed_size()

    def known(self, kind: BlobKind, ids: Sequence[bytes]) -> list[bool]:
        """Is each of these blobs stored where this image may rely on it (or is it the zero blob)? Thread-safe."""
        self._pulse.beat()
        flags = [blob_id == ZERO_ID or (kind, blob_id) in self._fresh for blob_id in ids]
        left = [at for at, flag in enumerate(flags) if not flag]
        if left:
            seen, _ = self._stock.locate(kind, b"".join(ids[at] for at in left))
            for at, flag in zip(left, seen.tolist(), strict=True):
                flags[at] = flag
        return flags

    def encode(self, kind: BlobKind, blob_id: bytes, buffer: Buffer) -> Encoded:
        """The blob, ready to be added. Pure computation, thread-safe; the bytes are copied or compressed."""
        return encoded_blob(self._digests, kind, blob_id, len(buffer), self._codecs.encode(buffer))

    def add(self, kind: BlobKind, blobs: Sequence[Encoded]) -> int:
        """Store these blobs of one kind. Returns how many of them were not stored yet. Waits while too much is on its
        way.

        Raises the first error of an earlier put.
        """
        flags = self.known(kind, [blob.id for blob in blobs])
        fresh = {blob.id: blob for blob, known in zip(blobs, flags, strict=True) if not known}
        for blob in fresh.values():
            self._fresh[kind, blob.id] = blob.size
            self._lanes.add(blob)
        return len(fresh)

    def take_in(self, key: str, stored: Rows) -> int:
        """A pack that somebody else has put under this writer's number, with all its rows. Returns how many of its
        blobs were not stored yet. What it says of itself is looked up first: raises ``WorkersLost`` if it is not so.
        """
        split = layout.split_pack_key(key)
        if split is None or split[0] != self.number or not self._is_there(key, stored):
            raise WorkersLost("a worker says that it has stored a pack, and that is not so", subject=key)
        fresh = 0
        for kind in BlobKind:
            ids = [each.tobytes() for each in stored["id"][stored["kind"] == kind]]
            fresh += self.known(kind, ids).count(False)
        self._index.add([(key, stored)])
        self._lanes.name(key, stored)
        return fresh

    def _is_there(self, key: str, stored: Rows) -> bool:
        size = packs.size_of(stored, self._digests.sealing.pack_extra)
        try:
            there, signer = packs.read_footer(self._target, self._digests, key, size, int(stored.size))
        except (ObjectMissing, Damaged, FormatTooNew):
            return False
        return signer.is_trusted and mark_of(there) == mark_of(stored)

    def beat(self) -> None:
        """Called while nothing else is for long: this writer lives."""
        self._pulse.beat()

    def _packed(self, key: str, names: list[tuple[BlobKind, bytes]], rows: Rows) -> None:
        # The rows are in the index before they leave ``_fresh``, so that ``known`` finds them in one or the other.
        first = self._index.row_count
        self._index.add([(key, rows)])
        self._needs.packed(names, first)
        for name in names:
            del self._fresh[name]

    def need(self, kind: BlobKind, ids: Sequence[bytes]) -> int:
        """The encoded bytes of those of these known blobs that this image did not need yet."""
        fresh, stored = 0, []
        for blob_id in ids:
            if (size := self._fresh.get((kind, blob_id))) is not None:
                fresh += self._needs.fresh((kind, blob_id), size)
            elif blob_id != ZERO_ID:
                stored.append(blob_id)
        seen, found = self._stock.locate(kind, b"".join(stored))
        assert seen.all(), "only what is known can be needed"
        first = found[self._needs.first(found["ordinal"])]
        self._stock.needed(first)
        return fresh + int(first["encoded"].sum(dtype=np.int64))

    def chunks(self) -> TreeBuilder:
        """The list of the image's chunk ids, to be appended in order."""
        return TreeBuilder(self, self._digests, self._fanout)

    def maps(self) -> TreeBuilder:
        """The list of ids of the pieces of the block map; ``map_writer`` fills one."""
        return TreeBuilder(self, self._digests, self._fanout)

    def map_writer(self) -> MapWriter:
        """The image's block map, to be added window by window."""
        return MapWriter(self, self._digests, self.maps())

    def flush(self) -> None:
        """Every pack and segment is acknowledged when this returns. Raises the first error of a put."""
        self._lanes.flush(list(self._stock.to_adopt()))

    def commit(self, image: Image) -> Image:
        """Make the image exist: flushes, then creates the record. Returns it with id, number and segments.

        Raises ``Fenced`` if somebody voided this number; ``TargetError`` while the target does not say whether it
        is decided (``abandon`` then decides it, or finds that it was committed).
        """
        self.flush()
        image = attrs.evolve(
            self._locked(image), id=self.nonce, number=self.number, segments=tuple(self._lanes.segments)
        )
        commits.commit(self._target, self._digests, self.commit_key, image, exclusive=self._exclusive)
        self._decided = True
        return image

    def _locked(self, image: Image) -> Image:
        """What it relies on is locked long enough; what that took is noted."""
        if self._renewal is None:
            return image
        self._renewal.run(self._stock.reused())
        return attrs.evolve(image, notes=(*image.notes, self._renewal.cost()))

    def commit_upkeep(self, moved: Iterable[tuple[str, Rows]] = (), replaces: Iterable[str] = ()) -> tuple[str, ...]:
        """Commit what was added without an image, and all rows of the packs ``moved``, named anew. Returns the keys of
        the segments; they stand in for those in ``replaces``. Raises as ``commit`` does.
        """
        self._lanes.flush([*self._stock.to_adopt(), *moved])
        record = Upkeep(tuple(self._lanes.segments), tuple(replaces))
        commits.commit(self._target, self._digests, self.commit_key, record, exclusive=self._exclusive)
        self._decided = True
        return record.segments

    def abandon(self, why: str) -> bool:
        """Void the own number, so that no prune waits for it. Best effort: True if the void stands now."""
        void = Void(who=self._host, why=why, at=now())
        try:
            self._decided = commits.void(self._target, self._digests, self.commit_key, void, exclusive=self._exclusive)
        except HoldstillError:
            return False
        return self._decided

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        self._uploads.close()
        if not self._decided:
            self.abandon(f"it ended without a commit: {error or 'nothing was committed'}"[:1000])
        self._pulse.end()


def now() -> str:
    """This moment as RFC 3339 UTC, for people."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def unkept(_: WriterSession) -> AbstractContextManager[None]:
    """Nothing is done: should this process be killed, prunes wait for the number until somebody fences it."""
    return nullcontext()
