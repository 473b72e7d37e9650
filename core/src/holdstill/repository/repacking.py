"""Copying what is still needed out of packs that are to go: as a writer does, into packs of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Final

import attrs

from holdstill.errors import Damaged, Fenced
from holdstill.repository.blobs import BlobReader, PackRead
from holdstill.repository.carrying import Carried, Carrier, Carriers
from holdstill.repository.hauling import Haul, hands
from holdstill.repository.layout import BlobKind
from holdstill.repository.repository import Repository
from holdstill.repository.session import Kept, WriterSession

#: threads, and reads that they are ahead of what was stored
_THREADS: Final = 2
_AHEAD: Final = 4


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
    """One run of it. The number is taken only when there is something to read."""

    _repository: Repository
    _reader: BlobReader
    _host: str
    _cancelled: Callable[[], bool]
    _kept: Kept
    _elsewhere: Carriers | None = None
    """Who reads and stores, in place of threads here."""
    _lost: list[str] = attrs.field(factory=list)

    def run(self, wanted: Iterable[tuple[BlobKind, bytes]]) -> Repacked:
        """Copy these blobs. Raises ``Cancelled`` (what was stored is garbage then), ``WorkersLost``, and what the
        target raises.
        """
        by_kind: dict[BlobKind, list[bytes]] = {}
        for kind, blob_id in wanted:
            by_kind.setdefault(kind, []).append(blob_id)
        there = {kind: self._there(kind, ids) for kind, ids in by_kind.items()}
        if not any(there.values()):
            return Repacked(lost=tuple(self._lost))
        with self._repository.begin(self._host, "upkeep") as session, self._kept(session):
            if self._elsewhere is not None:
                return self._moved(session, self._elsewhere, there)
            with hands(_THREADS, _AHEAD) as carriers:
                return self._moved(session, carriers, there)

    def _moved(self, session: WriterSession, carriers: Carriers, there: dict[BlobKind, list[bytes]]) -> Repacked:
        here = Carrier(self._reader, lambda place, _: place.id, session.known, session.encode)
        with Haul(session, here, carriers, self._cancelled, partial(self._mended, here)) as haul:
            for kind, ids in there.items():
                haul.ask(kind, ids)
                haul.send()
            while not haul.is_empty:
                haul.wait()
            if not haul.arrived:
                return Repacked(lost=tuple(self._lost))
            try:
                segments = session.commit_upkeep()
            except Fenced:  # somebody did not want to wait for us: a later prune takes it up
                segments = ()
            return Repacked(segments, haul.read_size, session.stored_size, tuple(self._lost))

    def _there(self, kind: BlobKind, ids: list[bytes]) -> list[bytes]:
        """Those that some pack holds."""
        try:
            self._reader.plan(kind, ids)
        except Damaged:
            pass
        else:
            return ids
        gone = {each for each in ids if self._reader.missing(kind, each)}
        self._lost += [f"{kind.name.lower()} {each.hex()}" for each in ids if each in gone]
        return [each for each in ids if each not in gone]

    def _mended(self, here: Carrier, read: PackRead) -> Iterator[Carried]:
        try:
            yield here.carry_one(read)
        except Damaged as damage:
            place = read.places[0]
            kind = BlobKind(place.kind)
            if len(read.places) == 1:
                self._lost.append(f"{kind.name.lower()} {place.id.hex()}: {damage}")
                return
            for each in read.places:
                for alone in self._reader.plan(kind, [each.id]):
                    yield from self._mended(here, alone)
