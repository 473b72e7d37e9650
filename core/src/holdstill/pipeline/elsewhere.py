"""The heavy reading done by workers that may be on other machines: what they are told, and what they do."""

from __future__ import annotations

import functools
import os
import secrets
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import attrs
import numpy as np

from holdstill.errors import PasswordMissing, WorkersLost
from holdstill.model.buffers import Buffer
from holdstill.plugins.registry import Plugins
from holdstill.repository.carrying import Carried, Carrier, Carriers, Load, store
from holdstill.repository.crews import Crew
from holdstill.repository.index import Index, Place
from holdstill.repository.layout import BlobKind
from holdstill.repository.loading import Shelf, unheard
from holdstill.repository.opening import open_repository
from holdstill.repository.repository import Repository
from holdstill.repository.reuse import Stock
from holdstill.repository.rows import Encoded, encoded_blob
from holdstill.repository.scrub import Scrubbed, Scrubber
from holdstill.repository.spreading import Chosen, Scrubbers
from holdstill.repository.uploads import Uploads
from holdstill.spi.workforce import Workforce

#: packs to a task: enough that asking costs little, few enough that a worker that dies has not done much in vain
_TOGETHER: Final = 4
#: tasks for each that can be done at once, so that nobody waits for the next
_AHEAD: Final = 2

HERE: Final = "HOLDSTILL_PASSWORD"
#: of the repository that is copied to
THERE: Final = "HOLDSTILL_TO_PASSWORD"


@attrs.frozen
class Spot:
    """A repository as a worker is told of it. None of it is secret: the URL is the one that is shown, and whatever it
    takes to open it the worker must find where it is.
    """

    url: str
    repository_id: str
    password_at: str = HERE
    """Of a sealed repository: the variable, in the worker's environment, that holds the password; or, with ``_FILE``
    behind it, that names the file which does.
    """

    @classmethod
    def of(cls, repository: Repository, password_at: str = HERE) -> Spot:
        """Of one that is open here."""
        return cls(repository.target.url, repository.config.repository_id, password_at)

    def opened(self) -> Repository:
        """Done by a worker. Raises ``WorkersLost`` if another repository is there, and what opening one raises."""
        repository = _opened(self.url, self.password_at)
        if repository.config.repository_id != self.repository_id:
            _opened.cache_clear()
            raise WorkersLost("a worker sees another repository there", subject=self.url)
        return repository


@attrs.frozen
class PackCheck:
    """Read some packs of a repository. All of it goes to the workers."""

    spot: Spot

    def __call__(self, some: Sequence[Chosen]) -> list[Scrubbed]:
        """Done by a worker. Raises as ``Spot.opened`` does."""
        repository = self.spot.opened()
        nobody = np.zeros(1 + max((place for place, _ in some), default=0), dtype=np.bool_)
        scrubber = Scrubber(repository.target, repository.digests, repository.codecs, nobody)
        return [scrubber.check(place, pack) for place, pack in some]


@attrs.frozen
class PackCarry:
    """Read blobs of one repository, and store them in packs of a writer of the other (or the same) one. All of it goes
    to the workers. It may be done twice, and after its writer has ended: a pack that nobody hears of is garbage.
    """

    source: Spot
    target: Spot
    number: int
    """The writer's."""
    run: str
    """A nonce: what is stored there is looked up once in each run."""

    def __call__(self, load: Load) -> Carried:
        """Done by a worker. Raises as ``Spot.opened`` does, ``WriteOnly``, and what the targets raise."""
        source, target = self.source.opened(), self.target.opened()
        target.must_read()  # on what others store nobody may rely unseen
        stock = _stocks.get(target, self.run)

        def name(place: Place, plain: Buffer) -> bytes:
            return place.id if self.source == self.target else target.digests.blob_id(BlobKind(place.kind), plain)

        def known(kind: BlobKind, ids: Sequence[bytes]) -> list[bool]:
            flags: list[bool] = stock.locate(kind, b"".join(ids))[0].tolist()
            return flags

        def encode(kind: BlobKind, blob_id: bytes, plain: Buffer) -> Encoded:
            return encoded_blob(target.digests, kind, blob_id, len(plain), target.codecs.encode(plain))

        reader = source.reader_of(source.shelf(local=False))
        carried = Carrier(reader, name, known, encode).carry(load)
        with closing(Uploads(target.target, exclusive=not target.config.single_writer)) as uploads:
            packs = store(uploads, target.digests, self.number, carried.fresh, target.config.pack_size)
        return attrs.evolve(carried, fresh=(), packs=packs)


@functools.lru_cache(maxsize=8)
def _opened(url: str, password_at: str) -> Repository:
    """Once in each worker, for as long as it lives: opening costs more than a task."""
    return open_repository(Plugins.installed().storage_target(url), lambda: _password(url, password_at))


@attrs.define
class _Stocks:
    """What a worker takes for stored in the repository that it last wrote to: what was there when the run began, as far
    as it may be relied on. Whoever asked looks again, as a writer.
    """

    _of: tuple[str, str] = ("", "")
    _stock: Stock | None = None
    _lock: threading.Lock = attrs.field(factory=threading.Lock)

    def get(self, repository: Repository, run: str) -> Stock:
        with self._lock:
            asked = repository.config.repository_id, run
            if self._stock is None or self._of != asked:
                self._of, self._stock = asked, _stock_of(repository)
            return self._stock


_stocks: Final = _Stocks()


def _stock_of(repository: Repository) -> Stock:
    target, digests = repository.target, repository.digests
    index = Index(Path(tempfile.gettempdir()), pack_extra=digests.sealing.pack_extra)
    shelf = Shelf(target, digests, index)
    shelf.take_listed_segments(unheard)
    listed = shelf.listed_packs()
    shelf.take_orphans(listed, unheard)
    ledger = repository.ledger()
    ledger.read()
    stock = Stock(shelf, listed, target, digests)
    stock.close(ledger)
    return stock


def _password(url: str, password_at: str) -> bytes:
    if file := os.environ.get(f"{password_at}_FILE"):
        try:
            return Path(file).read_bytes().rstrip(b"\r\n")
        except OSError as error:
            raise PasswordMissing(f"a worker cannot read {file}: {error.strerror}", subject=url) from error
    if text := os.environ.get(password_at):
        return os.fsencode(text)
    raise PasswordMissing(
        "it is sealed, and a worker finds no password",
        subject=url,
        next_step=f"set {password_at}_FILE where the workers run",
    )


@contextmanager
def scrubbers(plugins: Plugins, executor: str | None, repository: Repository) -> Iterator[Scrubbers | None]:
    """Who reads the packs of ``repository``; None: threads here. Raises ``NoProvider``, ``UsageError``,
    ``WorkersLost``.
    """
    if executor is None:
        yield None
        return
    with plugins.workforce(executor) as workers:
        yield Scrubbers(_crew(workers), PackCheck(Spot.of(repository)), _TOGETHER)


@contextmanager
def carriers(
    plugins: Plugins, executor: str | None, source: Repository, target: Repository | None = None
) -> Iterator[Carriers | None]:
    """Who carries blobs of ``source`` into packs of ``target``, or of its own; None: threads here. Raises as
    ``scrubbers`` does.
    """
    if executor is None:
        yield None
        return
    here, run = Spot.of(source), secrets.token_hex(16)
    there = here if target is None else Spot.of(target, THERE)
    size = (target or source).config.pack_size
    with plugins.workforce(executor) as workers:
        yield Carriers(_crew(workers), size, lambda number, _: PackCarry(here, there, number, run))


def _crew(workers: Workforce) -> Crew:
    return Crew(workers.executor, _AHEAD * workers.width, workers.url, workers.lost)
