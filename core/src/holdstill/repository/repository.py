"""A repository in the hand: its images, its writers, its blobs."""

from __future__ import annotations

import itertools
import platform
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from holdstill.errors import Damaged, FormatTooNew, ImageMissing, RepositoryError
from holdstill.model.image import Image
from holdstill.repository import commits, layout
from holdstill.repository.blobs import BlobReader
from holdstill.repository.codecs import Codecs
from holdstill.repository.config import Config
from holdstill.repository.digests import Digests, Ids
from holdstill.repository.index import Index
from holdstill.repository.layout import IMAGES
from holdstill.repository.ledger import Ledger
from holdstill.repository.loading import Shelf, unheard
from holdstill.repository.local_index import LocalIndex
from holdstill.repository.marks import Marks
from holdstill.repository.probe import probe_exclusive_create
from holdstill.repository.records import Record, Void
from holdstill.repository.reuse import Stock
from holdstill.repository.session import WriterSession, now
from holdstill.spi.target import Target

OnDamage = Callable[[RepositoryError], None]

LATEST: Final = "latest"


class Repository:
    """One repository on one target. Holds no connection of its own: whoever opened the target closes it."""

    def __init__(self, target: Target, config: Config, place: Path | None = None) -> None:
        """``place``: a folder of this host, for scratch files and for what is cheaper to keep than to read again."""
        self.target = target
        self._place = place
        self.config = config
        self.digests = Digests(config.digest, config.key)
        self.codecs = Codecs(config.codec)
        self.ids = Ids(self.digests)

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
        ledger = self.ledger()
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
        )

    def ledger(self) -> Ledger:
        """The ledger, nothing of it read yet."""
        return Ledger(self.target, self.digests, exclusive=not self.config.single_writer)

    @property
    def marks(self) -> Marks:
        """What people have marked images with."""
        return Marks(self.target, self.digests, not self.config.single_writer)

    def forget(self, image: Image) -> None:
        """Let the image be none. Its data stays until a prune. Raises ``ImageMissing`` if it is none already, and
        ``ImageProtected``.
        """
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

        ``exact`` walks the ledger instead of trusting the target's listing. A damaged record is told to
        ``on_damage``, or raised (``Damaged``, ``FormatTooNew``).
        """
        found = [record for _, record in self.records(exact=exact, on_damage=on_damage) if isinstance(record, Image)]
        return sorted(found, key=lambda image: (image.taken, image.number))

    def records(self, *, exact: bool, on_damage: OnDamage | None = None) -> Iterator[tuple[str, Record]]:
        """Every commit key that is decided, with what stands there."""
        for key in self._walked_keys() if exact else self._listed_keys():
            try:
                record = commits.state(self.target, self.digests, key)
            except (Damaged, FormatTooNew) as damage:
                if on_damage is None:
                    raise
                on_damage(damage)
            else:
                if record is not None:
                    yield key, record

    def _listed_keys(self) -> Iterator[str]:
        return (listed.key for listed in self.target.list(IMAGES) if layout.split_commit_key(listed.key))

    def _walked_keys(self) -> Iterator[str]:
        ledger = self.ledger()
        ledger.read()
        return (entry.commit for entry in ledger.begun.values())

    def find(self, prefix: str, volume: str | None = None) -> Image:
        """The image whose id begins with ``prefix``, or the ``latest`` one of a volume.

        ``volume`` (path, device or identity) narrows the choice. Raises ``ImageMissing`` unless exactly one is meant.
        """
        images = [image for image in self.images(on_damage=_pass_over) if volume is None or _is_of(image, volume)]
        if prefix == LATEST:
            return _latest(images, volume)
        found = [image for image in images if prefix and image.id.startswith(prefix)]
        if len(found) != 1:
            how_many = f"{len(found)} images begin" if found else "no image begins"
            raise ImageMissing(f"{how_many} with {prefix!r}", next_step="`holdstill images` lists them.")
        return found[0]

    def blobs(self) -> BlobReader:
        """A reader of chunks, pages and maps."""
        shelf = self.shelf(local=True)
        ways = (
            lambda: shelf.take_listed_segments(unheard),
            lambda: shelf.take_segments(self._named_segments(), unheard),
            lambda: shelf.take_orphans(shelf.listed_packs(), unheard),
        )
        return self.reader_of(shelf, ways)

    def shelf(self, *, local: bool) -> Shelf:
        """An empty index to be filled; ``local``: with what this host has read before."""
        if self._place is None:
            return Shelf(self.target, self.digests)
        own, identity = self._place / self.config.repository_id, self.config.repository_id
        known = LocalIndex(own / "index", identity, self._place) if local else None
        return Shelf(self.target, self.digests, Index(self._place), known)

    def reader_of(self, shelf: Shelf, ways: Iterable[Callable[[], object]] = ()) -> BlobReader:
        """A reader of what is on the shelf; ``ways`` put more there when something is missed."""
        return BlobReader(self.target, self.digests, self.codecs, self.config.fanout, shelf, ways)

    def _named_segments(self) -> Iterator[str]:
        try:
            decided = list(self.records(exact=True, on_damage=_pass_over))
        except Damaged:
            decided = list(self.records(exact=False, on_damage=_pass_over))
        return itertools.chain.from_iterable(record.segments for _, record in decided)


def _pass_over(_: RepositoryError) -> None:
    """A damaged record is the business of those who want that image, and of verify."""


def _is_of(image: Image, volume: str) -> bool:
    return volume in {image.volume.path, image.volume.device, image.volume.identity}


def _latest(images: list[Image], volume: str | None) -> Image:
    volumes = {(image.host, image.volume.identity or image.volume.path) for image in images}
    if len(volumes) > 1:
        names = ", ".join(sorted(f"{where} ({host})" for host, where in volumes))
        raise ImageMissing(f"there are images of several volumes: {names}", next_step="Say which volume.")
    if not images:
        raise ImageMissing("there is no image" if volume is None else f"there is no image of {volume}")
    return images[-1]
