"""Blobs of a repository on their way into a writer's packs: who carries what, and whether it has arrived."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Self

import attrs
import numpy as np

from holdstill.repository import crews
from holdstill.repository.blobs import PackRead
from holdstill.repository.carrying import Carried, Carrier, Carriers, Load, is_enough
from holdstill.repository.crews import Tasks
from holdstill.repository.layout import BlobKind
from holdstill.repository.needs import Needs
from holdstill.repository.session import WriterSession

#: a task's results may wait behind a slower one's
_AHEAD: Final = 2
#: here, every read is a task of its own
_ONE: Final = 0


@contextmanager
def hands(threads: int, most: int) -> Iterator[Carriers]:
    """Threads of this process, with at most ``most`` reads under way."""
    with crews.threads(min(threads, most), min(_AHEAD * threads, most)) as crew:
        yield Carriers(crew, _ONE, lambda _, here: here.carry)


@attrs.define
class Haul:
    """Used by one thread. Of what was asked for, and has arrived, ``tell`` is told."""

    session: WriterSession
    _here: Carrier
    """Does what others could not."""
    _carriers: Carriers
    _cancelled: Callable[[], bool]
    _mended: Callable[[PackRead], Iterable[Carried]]
    """What could not be read as it was asked for."""
    _tell: Callable[[Sequence[tuple[bytes, bytes]]], None] = lambda _: None
    """The ids of blobs where they were, and where they are: the session knows them now."""
    _before: Needs = attrs.field(factory=Needs)
    """The rows that were asked for before: what is in them was stored then."""
    read_size: int = 0
    arrived: int = 0
    """Blobs."""
    new: int = 0
    """Those that were not stored before."""
    _waiting: list[PackRead] = attrs.field(factory=list)
    _tasks: Tasks[Load, Carried] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._tasks = Tasks(self._carriers.crew, self._carriers.task(self.session.number, self._here), self._is_over)

    def ask(self, kind: BlobKind, ids: Sequence[bytes]) -> None:
        """Have these blobs brought. Raises ``Damaged`` if no pack is known to hold one, ``Cancelled``,
        ``WorkersLost``, and what the targets raise.
        """
        reads = self._here.reader.plan(kind, ids)
        ordinals = np.array([place.ordinal for read in reads for place in read.places], dtype=np.uint32)
        fresh = self._before.first(ordinals)
        if not fresh.all():
            places = [place for read in reads for place in read.places]
            old = [place.id for place, new in zip(places, fresh.tolist(), strict=True) if not new]
            for read in self._here.reader.plan(kind, old):
                self._give(Load((read,), store=False))
            reads = self._here.reader.plan(kind, [place.id for place in places if place.id not in set(old)])
        for read in reads:
            if self._waiting and is_enough([*self._waiting, read], self._carriers.load_size):
                self.send()
            self._waiting.append(read)

    def send(self) -> None:
        """Do not wait until there is enough for a task."""
        if self._waiting:
            load = Load(tuple(self._waiting))
            self._waiting = []
            self._give(load)

    def _give(self, load: Load) -> None:
        while self._tasks.is_full:
            self._take()
        self._tasks.give(load)

    @property
    def is_empty(self) -> bool:
        """Has everything arrived?"""
        return not self._waiting and self._tasks.is_empty

    def wait(self) -> None:
        """Until something more has arrived."""
        if self._tasks.is_empty:
            self.send()
        if not self._tasks.is_empty:
            self._take()

    def _take(self) -> None:
        load, carried = self._tasks.take()
        told = {here for here, _ in carried.names} | {place.id for read in carried.left for place in read.places}
        if told != {place.id for read in load.reads for place in read.places}:
            raise self._carriers.crew.lack("its answer is about something else")
        kind = BlobKind(load.reads[0].places[0].kind)
        self._store(kind, carried)
        for read in carried.left:
            self._mend(kind, read)

    def _mend(self, kind: BlobKind, read: PackRead) -> None:
        for mended in self._mended(read):
            self._store(kind, mended)

    def _store(self, kind: BlobKind, carried: Carried) -> None:
        self.read_size += carried.read_size
        for key, rows in carried.packs:
            self.new += self.session.take_in(key, rows)
        if carried.fresh:
            self.new += self.session.add(kind, carried.fresh)
        known = self.session.known(kind, [there for _, there in carried.names])
        names = [name for name, flag in zip(carried.names, known, strict=True) if flag]
        self.arrived += len(names)
        self._tell(names)
        # Whoever read them took them for stored, by what a listing shows; for this writer they are not.
        lacking = [here for (here, _), flag in zip(carried.names, known, strict=True) if not flag]
        for read in self._here.reader.plan(kind, lacking):
            self._mend(kind, read)

    def _is_over(self) -> bool:
        self.session.beat()
        return self._cancelled()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._tasks.__exit__(*exc)
