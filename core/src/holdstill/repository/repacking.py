"""Copying what is still needed out of packs that are to go: as a writer does, into packs of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack

import attrs

from holdstill.errors import Cancelled, Damaged, Fenced
from holdstill.repository.blobs import BlobReader, PackRead
from holdstill.repository.layout import BlobKind
from holdstill.repository.repository import Repository
from holdstill.repository.session import Kept, WriterSession


@attrs.frozen
class Repacked:
    """What was stored anew. Sizes in bytes."""

    segments: tuple[str, ...] = ()
    """Where its rows are; none if nothing was committed."""
    read_size: int = 0
    stored_size: int = 0
    lost: tuple[str, ...] = ()
    """What could not be read anywhere, and so stays where it is."""


@attrs.define
class Repacking:
    """One run of it. The number is taken only when there is something to store."""

    _repository: Repository
    _reader: BlobReader
    _host: str
    _cancelled: Callable[[], bool]
    _kept: Kept
    _read_size: int = 0
    _lost: list[str] = attrs.field(factory=list)

    def run(self, wanted: Iterable[tuple[BlobKind, bytes]]) -> Repacked:
        """Copy these blobs. Raises ``Cancelled`` (what was stored is garbage then), and what the target raises."""
        by_kind: dict[BlobKind, list[bytes]] = {}
        for kind, blob_id in wanted:
            by_kind.setdefault(kind, []).append(blob_id)
        session: WriterSession | None = None
        with ExitStack() as ended:
            for kind, ids in by_kind.items():
                for read in self._plan(kind, ids):
                    if self._cancelled():
                        raise Cancelled("the prune was ended")
                    for blob_id, plain in self._fetched(kind, read):
                        if session is None:
                            session = ended.enter_context(self._repository.begin(self._host, "upkeep"))
                            ended.enter_context(self._kept(session))
                        if not all(session.known(kind, [blob_id])):
                            session.add(kind, [session.encode(kind, blob_id, plain)])
            if session is None:
                return Repacked(lost=tuple(self._lost))
            try:
                segments = session.commit_upkeep()
            except Fenced:  # somebody did not want to wait for us: a later prune takes it up
                segments = ()
            return Repacked(segments, self._read_size, session.stored_size, tuple(self._lost))

    def _plan(self, kind: BlobKind, ids: list[bytes]) -> list[PackRead]:
        try:
            return self._reader.plan(kind, ids)
        except Damaged:
            known = [each for each in ids if not self._reader.missing(kind, each)]
            self._lost += [f"{kind.name.lower()} {each.hex()}" for each in ids if each not in set(known)]
            return self._reader.plan(kind, known)

    def _fetched(self, kind: BlobKind, read: PackRead) -> list[tuple[bytes, bytes]]:
        try:
            found = self._reader.fetch(read)
        except Damaged as damage:
            if len(read.places) == 1:
                self._lost.append(f"{kind.name.lower()} {read.places[0].id.hex()}: {damage}")
                return []
            alone = [self._reader.plan(kind, [place.id]) for place in read.places]
            return [blob for reads in alone for each in reads for blob in self._fetched(kind, each)]
        self._read_size += read.length
        return found
