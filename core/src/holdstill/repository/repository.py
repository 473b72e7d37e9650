"""A repository in the hand: its images, its writers, its blobs."""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
import platform
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final
from weakref import WeakSet

from holdstill.errors import Damaged, FormatTooNew, ImageMissing, ObjectMissing, RepositoryError, WriteOnly
from holdstill.model.image import Image
from holdstill.repository import commits, layout, records
from holdstill.repository.blobs import BlobReader
from holdstill.repository.codecs import Codecs
from holdstill.repository.config import Config
from holdstill.repository.digests import Digests, Ids
from holdstill.repository.index import Index
from holdstill.repository.kept import KeptObjects
from holdstill.repository.keyring import Unlocked
from holdstill.repository.layout import IMAGES
from holdstill.repository.ledger import Begin, Ledger
from holdstill.repository.loading import Shelf, unheard
from holdstill.repository.local_index import LocalIndex
from holdstill.repository.locks import Renewal
from holdstill.repository.marks import Marks
from holdstill.repository.probe import probe_exclusive_create
from holdstill.repository.pulse import count_of
from holdstill.repository.records import Record, Void
from holdstill.repository.reuse import Stock
from holdstill.repository.sealing import PLAIN, Sealed
from holdstill.repository.session import WriterSession, now
from holdstill.repository.silence import Silence
from holdstill.spi.target import Target

OnDamage = Callable[[RepositoryError], None]

LATEST: Final = "latest"


class Repository:
    """One repository on one target. Holds no connection of its own: whoever opened the target closes it. ``close`` lets
    go of the files of this host.
    """

    def __init__(
        self, target: Target, config: Config, unlocked: Unlocked | None = None, place: Path | None = None
    ) -> None:
        """``unlocked``: its keys, if it is sealed; ``place``: a folder of this host, for scratch files and for what is
        cheaper to keep than to read again.
        """
        self.target = target
        self._place = place
        # Two copies of one repository have one id, and may go different ways.
        here = hashlib.sha256(target.url.encode(errors="surrogateescape")).hexdigest()[:32]
        self._own = None if place is None else place / f"{config.repository_id}-{here}"
        self._kept = None if self._own is None else KeptObjects(self._own / "objects")
        self._shelves: WeakSet[Shelf] = WeakSet()
        self.config = config
        self.unlocked = unlocked
        self.sealing = PLAIN if unlocked is None else Sealed(unlocked.ring)
        self.digests = Digests(config.digest, unlocked.ring.ids if unlocked else config.key, self.sealing)
        self.codecs = Codecs(config.codec)
        self.ids = Ids(self.digests)
        self._ledgers: list[Ledger] = []

    # --- writing --------------------------------------------------------------------------------

    def begin(self, host: str, kind: str = "backup") -> WriterSession:
        """Become a writer. Raises ``TargetUnfit`` if exclusive creation no longer works as the config says."""
        exclusive = not self.config.single_writer
        if exclusive:
            probe_exclusive_create(self.target)
        shelf = self.shelf(local=True)
        shelf.take_listed_segments(unheard)
        listed = shelf.listed_packs()
        shelf.take_orphans(listed, unheard)
        stock = Stock(shelf, listed, self.target, self.digests)
        # What is closed is asked only after BEGIN is visible: a prune that came first is seen, a later one waits.
        ledger = self.ledger(kept=True)
        number, entry = ledger.append_begin(host, kind, seen=shelf.latest_number(listed))
        stock.close(ledger)
        return WriterSession(
            self.target,
            self.digests,
            self.codecs,
            number=number,
            begin=entry,
            index=shelf.index,
            stock=stock,
            pack_size=self.config.pack_size,
            fanout=self.config.fanout,
            exclusive=exclusive,
            renewal=self._renewal(ledger),
        )

    def _renewal(self, ledger: Ledger) -> Renewal | None:
        if not self.config.lock_for:
            return None
        lists = (layout.list_key(entry.nonce) for entry in ledger.lists.values() if entry.is_long)
        keys = [*map(layout.ledger_key, range(1, ledger.end + 1)), *lists]
        return Renewal(self.target, dt.timedelta(seconds=self.config.lock_for), keys)

    def ledger(self, *, kept: bool = False) -> Ledger:
        """The ledger, nothing of it read yet; with ``kept`` what this host has read of it before is not read again."""
        exclusive = not self.config.single_writer
        self._ledgers.append(Ledger(self.target, self.digests, exclusive=exclusive, kept=self._kept if kept else None))
        return self._ledgers[-1]

    @property
    def reached(self) -> int:
        """The last entry of the ledger that was read through this object; 0 if none was."""
        return max((ledger.end for ledger in self._ledgers), default=0)

    def must_read(self) -> None:
        """Raises ``WriteOnly`` if our key may only write."""
        if not self.sealing.may_read:
            raise WriteOnly(
                "with this password one can back up, and read nothing",
                subject=self.target.url,
                next_step="use the password of a key that may read",
            )

    @property
    def marks(self) -> Marks:
        """What people have marked images with. Raises ``WriteOnly``."""
        self.must_read()
        return Marks(self.target, self.digests, not self.config.single_writer)

    def forget(self, image: Image) -> None:
        """Let the image be none. Its data stays until a prune. Raises ``ImageMissing`` if it is none already, and
        ``ImageProtected``.
        """
        self.must_read()
        key = layout.commit_key(image.number, image.id)
        record = commits.state(self.target, self.digests, key)
        if not isinstance(record, Image):
            raise ImageMissing("there is no such image any more", subject=image.id)
        self.marks.drop(image)
        void = Void(who=platform.node(), why="forgotten", at=now(), segments=record.segments)
        commits.forget(self.target, self.digests, key, void)

    def void(self, key: str, why: str) -> bool:
        """Decide a writer's commit key for void, if it is undecided. False: it was decided already."""
        void = Void(who=platform.node(), why=why, at=now())
        return commits.void(self.target, self.digests, key, void, exclusive=not self.config.single_writer)

    # --- reading --------------------------------------------------------------------------------

    def images(self, *, exact: bool = False, on_damage: OnDamage | None = None) -> list[Image]:
        """All images, the oldest first.

        ``exact`` walks the ledger instead of trusting the target's listing, and reads every record. A damaged record is
        told to ``on_damage``, or raised (``Damaged``, ``FormatTooNew``).
        """
        self.must_read()
        decided = self.records(exact=exact, on_damage=on_damage, kept=not exact)
        found = [record for _, record in decided if isinstance(record, Image)]
        return sorted(found, key=lambda image: (image.taken, image.number))

    def records(
        self, *, exact: bool, on_damage: OnDamage | None = None, kept: bool = False
    ) -> Iterator[tuple[str, Record]]:
        """Every commit key that is decided, with what stands there; with ``kept`` as far as this host has read it
        before, and its size is listed as it was.
        """
        for key, size in self._walked_keys() if exact else self._listed_keys():
            try:
                record = self.record(key, size if kept else -1)
            except (Damaged, FormatTooNew) as damage:
                if on_damage is None:
                    raise
                on_damage(damage)
            else:
                if record is not None:
                    yield key, record
        self.keep()

    def record(self, key: str, listed_size: int) -> Record | None:
        """What stands at a commit key; None while nothing does. Raises ``Damaged`` or ``FormatTooNew``.

        What this host has read before is believed where a listing shows an object of that size (-1: it shows none, or
        does not say). What may change is that an image becomes a void, which is smaller; and who believes that an image
        is there that is not only keeps more.
        """
        known = None if self._kept is None or listed_size < 0 else self._kept.get(key)
        if known is not None and len(known) == listed_size:
            with suppress(Damaged, FormatTooNew):
                return records.unseal(self.digests, key, known)
        try:
            data = self.target.get(key)
        except ObjectMissing:
            return None
        record = records.unseal(self.digests, key, data)
        if self._kept is not None:
            self._kept.put(key, data)
        return record

    def silent(self, undecided: Mapping[int, Begin]) -> list[int]:
        """Of these writers those that have shown no sign of life for so long that they are taken for dead: of what this
        host has seen when it asked this before.
        """
        if self._own is None:
            return []
        silence = Silence(self._own / "silence")
        return silence.look(undecided, lambda number: count_of(self.target, self.digests, number), time.time())

    def keep(self) -> None:
        """What was read is known to the next run of this host."""
        if self._kept is not None:
            self._kept.close()

    def close(self) -> None:
        """Let go of every file of this host that was opened to read or write here; nothing is read or written after."""
        for shelf in list(self._shelves):
            shelf.index.close()
        self.keep()

    def forget_kept(self) -> None:
        """Remove what this host keeps of it."""
        self.close()
        if self._own is not None:
            shutil.rmtree(self._own, ignore_errors=True)

    def _listed_keys(self) -> Iterator[tuple[str, int]]:
        listing = self.target.list(IMAGES)
        return ((listed.key, listed.size) for listed in listing if layout.split_commit_key(listed.key))

    def _walked_keys(self) -> Iterator[tuple[str, int]]:
        ledger = self.ledger()
        ledger.read()
        return ((entry.commit, -1) for entry in ledger.begun.values())

    def find(self, prefix: str, volume: str | None = None) -> Image:
        """The image whose id begins with ``prefix``, or the ``latest`` one of a volume.

        ``volume`` (path, device or identity) narrows the choice. Raises ``ImageMissing`` unless exactly one is meant.
        """
        images = [image for image in self.images(on_damage=_pass_over) if volume is None or is_of(image, volume)]
        while True:
            image = _chosen(images, prefix, volume)
            key = layout.commit_key(image.number, image.id)
            if isinstance(commits.state(self.target, self.digests, key), Image):
                return image
            images.remove(image)  # it was deleted: what is kept, or listed, may be old

    def blobs(self) -> BlobReader:
        """A reader of chunks, pages and maps."""
        shelf = self.shelf(local=True)
        ways = (
            lambda: shelf.take_listed_segments(unheard),
            lambda: shelf.take_segments(self._named_segments(), unheard),
            lambda: shelf.start_over(unheard),
            lambda: shelf.take_orphans(shelf.listed_packs(), unheard),
        )
        return self.reader_of(shelf, ways)

    def shelf(self, *, local: bool) -> Shelf:
        """An empty index to be filled; ``local``: with what this host has read before."""
        known = None
        # Who told what of a sealed repository is not kept: there every segment is read.
        if local and self.unlocked is None and self._own is not None and self._place is not None:
            known = LocalIndex(self._own / "index", self.config.repository_id, self._place)
        index = Index(self._place, pack_extra=self.digests.sealing.pack_extra)
        shelf = Shelf(self.target, self.digests, index, known)
        self._shelves.add(shelf)
        return shelf

    def reader_of(self, shelf: Shelf, ways: Iterable[Callable[[], object]] = ()) -> BlobReader:
        """A reader of what is on the shelf; ``ways`` put more there when something is missed. Raises ``WriteOnly``."""
        self.must_read()
        return BlobReader(self.target, self.digests, self.codecs, self.config.fanout, shelf, ways)

    def _named_segments(self) -> Iterator[str]:
        try:
            decided = list(self.records(exact=True, on_damage=_pass_over))
        except Damaged:
            decided = list(self.records(exact=False, on_damage=_pass_over))
        return itertools.chain.from_iterable(record.segments for _, record in decided)


def _pass_over(_: RepositoryError) -> None:
    """A damaged record is the business of those who want that image, and of verify."""


def is_of(image: Image, volume: str) -> bool:
    """Is the image of the volume with this path, device or identity?"""
    return volume in {image.volume.path, image.volume.device, image.volume.identity}


def _chosen(images: list[Image], prefix: str, volume: str | None) -> Image:
    if prefix == LATEST:
        return _latest(images, volume)
    found = [image for image in images if prefix and image.id.startswith(prefix)]
    if len(found) != 1:
        how_many = f"{len(found)} images begin" if found else "no image begins"
        raise ImageMissing(f"{how_many} with {prefix!r}", next_step="`holdstill images` lists them.")
    return found[0]


def _latest(images: list[Image], volume: str | None) -> Image:
    volumes = {(image.host, image.volume.identity or image.volume.path) for image in images}
    if len(volumes) > 1:
        names = ", ".join(sorted(f"{where} ({host})" for host, where in volumes))
        raise ImageMissing(f"there are images of several volumes: {names}", next_step="Say which volume.")
    if not images:
        raise ImageMissing("there is no image" if volume is None else f"there is no image of {volume}")
    return images[-1]
