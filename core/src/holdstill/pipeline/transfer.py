"""Repository to repository: what an image needs is fetched, checked, named anew, and stored where it is not there."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import attrs

from holdstill.errors import Cancelled, Damaged, Fenced, RepositoryError, UsageError
from holdstill.model.events import StageStarted, Warned
from holdstill.model.image import Image, Origin
from holdstill.model.requests import CopyRequest
from holdstill.model.results import CopyResult, ImageCopy
from holdstill.pipeline.buffers import BufferPool
from holdstill.pipeline.counting import Counted
from holdstill.pipeline.twins import Twins
from holdstill.pipeline.workers import in_order
from holdstill.repository.blobs import BlobReader, PackRead
from holdstill.repository.digests import Ids
from holdstill.repository.layout import ID_SIZE, ZERO_ID, BlobKind
from holdstill.repository.repository import Repository, is_of
from holdstill.repository.retention import time_of
from holdstill.repository.rows import Encoded
from holdstill.repository.session import Kept, WriterSession, unkept
from holdstill.repository.trees import filled
from holdstill.spi.conversation import Conversation
from holdstill.spi.meter import Meter

#: how often a fenced copy begins again before it gives up
_BEGINNINGS: Final = 5
#: host, volume, bytes of a chunk, signer
_Same = tuple[str, str, int, str]


@attrs.define
class Transfer:
    """One run of ``copy``. To its target it is a writer like a backup, to its source a reader like a restore."""

    source: Repository
    target: Repository
    talk: Conversation
    workers: int
    kept: Kept = unkept
    """Around each writer's number, so that it is settled even if this process is killed."""
    _there: dict[Origin, Image] = attrs.field(factory=dict, init=False)
    """What the target has, by where it was first made."""
    _pairs: dict[_Same, tuple[Image, Image]] = attrs.field(factory=dict, init=False)
    """The last image of each volume that both have, here and there."""
    _here: BlobReader = attrs.field(init=False)
    _beyond: BlobReader = attrs.field(init=False)

    def run(self, request: CopyRequest) -> CopyResult:
        """Copy what is asked for, the oldest first. A damaged image stops no other. Raises ``UsageError`` if both are
        one repository, ``ImageMissing``, ``Cancelled``, and what the targets raise: what was committed by then stays.
        """
        began = time.monotonic()
        if self.source.config.repository_id == self.target.config.repository_id:
            raise UsageError("an image is not copied into its own repository", next_step="name another with --to-repo")
        self.talk.tell(StageStarted("plan", self.target.target.url))
        images = self.source.images(on_damage=self._warn)
        chosen = self._chosen(request, images)
        # Who copies may read: what a host that may only write says it has copied is no copy.
        there = [image for image in self.target.images(on_damage=self._warn) if not image.signer]
        self._there = {_origin(self.target, image): image for image in there}
        for image in images:
            self._pair(image)
        self._here, self._beyond = self.source.blobs(), self.target.blobs()
        copies = tuple(self._copied(image, dry_run=request.dry_run) for image in chosen)
        return CopyResult(self.target.target.url, copies, request.dry_run, round(time.monotonic() - began, 3))

    def _chosen(self, request: CopyRequest, images: list[Image]) -> list[Image]:
        if request.images:
            named = {self.source.find(name, request.of_volume).id for name in request.images}
            images = [image for image in images if image.id in named]
        oldest = datetime.now(UTC) - request.since if request.since is not None else None
        return [
            image
            for image in images
            if request.of_volume is None or is_of(image, request.of_volume)
            if oldest is None or time_of(image) >= oldest
        ]

    def _pair(self, image: Image) -> None:
        copy = self._there.get(_origin(self.source, image))
        # A record that was replaced here by another host's since it was copied has another note of who signed it.
        if copy is not None and copy.chunk_size == image.chunk_size and copy.notes[: len(image.notes)] == image.notes:
            self._pairs[_same(image)] = image, copy

    def _warn(self, damage: RepositoryError) -> None:
        self.talk.tell(Warned(damage.id, damage.message, damage.subject))

    def _copied(self, image: Image, *, dry_run: bool) -> ImageCopy:
        origin = _origin(self.source, image)
        told = ImageCopy(image.id, None, image.volume.path, image.host, image.taken, already=False)
        if (there := self._there.get(origin)) is not None:
            return attrs.evolve(told, copy=there.id, already=True)
        if dry_run:
            return told
        try:
            copy, work = self._until_committed(image, origin)
        except Damaged as damage:
            self._warn(damage)
            return attrs.evolve(told, failed=str(damage))
        self._there[origin] = copy
        self._pair(image)
        return attrs.evolve(
            told,
            copy=copy.id,
            read_size=work.read_size,
            resumed_size=work.session.resumed_size,
            stored_size=copy.sizes.stored_size,
            new_chunks=copy.new_chunks,
            reused_chunks=copy.reused_chunks,
        )

    def _until_committed(self, image: Image, origin: Origin) -> tuple[Image, ImageCopier]:
        """A fence only costs another number, as for a backup."""
        fenced: Fenced | None = None
        for _ in range(_BEGINNINGS):
            try:
                with self.target.begin(platform.node(), "copy") as session, self.kept(session):
                    work = ImageCopier(
                        self._here, self.target.ids, session, self.talk, self.workers, self._twins(image)
                    )
                    return work.commit(image, origin), work
            except Fenced as error:
                fenced = error
                self.talk.tell(Warned(error.id, f"{error}; beginning again", image.volume.path))
        assert fenced is not None
        raise fenced

    def _twins(self, image: Image) -> Twins | None:
        pair = self._pairs.get(_same(image))
        return Twins.of(self._here, pair[0], self._beyond, pair[1]) if pair else None


@attrs.define
class ImageCopier:
    """One image into one session."""

    _blobs: BlobReader
    _ids: Ids
    session: WriterSession
    _talk: Conversation
    _workers: int
    _twins: Twins | None
    read_size: int = 0
    new_chunks: int = 0
    _pool: BufferPool = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._pool = BufferPool(self._blobs.plain_size)

    def commit(self, image: Image, origin: Origin) -> Image:
        """Copy it, and make the copy exist."""
        counted = Counted(self.session, self.session.chunks())
        meter = Meter(self._talk.tell, "copy", image.volume.path, image.sizes.volume_size)
        for first, count, ids in self._blobs.walk(image.chunks, BlobKind.CHUNK):
            if ids is None:
                counted.append_zeros(count)
            else:
                counted.append(self._named(first, ids))
            meter.advance(count * image.chunk_size, self.session.stored_size)
        chunks = counted.tree.finish()
        writer = self.session.map_writer()
        for window in self._blobs.map(image):
            writer.add(window)
        blocks = writer.finish()
        self.session.flush()
        if self._talk.cancelled():
            raise Cancelled("cancelled")
        return self.session.commit(
            attrs.evolve(
                image,
                signer="",
                origin=origin,
                chunks=chunks,
                map=blocks,
                sizes=attrs.evolve(image.sizes, stored_size=self.session.stored_size, image_size=counted.encoded_size),
                new_chunks=self.new_chunks,
                reused_chunks=max(0, counted.chunks - self.new_chunks),
            )
        )

    def _named(self, first: int, ids: bytes) -> bytes:
        """The ids in the target of these chunks, all of which its session knows."""
        each = [ids[at : at + ID_SIZE] for at in range(0, len(ids), ID_SIZE)]
        names = {ZERO_ID: ZERO_ID} | self._known_names(first, each)
        left = [ids[at * ID_SIZE : (at + 1) * ID_SIZE] for at in filled(ids)]
        reads = self._blobs.plan(BlobKind.CHUNK, [identity for identity in left if identity not in names])
        for read, fetched in in_order(self._fetch, reads, self._talk, workers=self._workers, item_size=self._pool.size):
            fresh = [encoded for _, _, encoded in fetched if encoded is not None]
            if fresh:
                self.new_chunks += self.session.add(BlobKind.CHUNK, fresh)
            names.update((identity, name) for identity, name, _ in fetched)
            self.read_size += read.length
        return b"".join(names[identity] for identity in each)

    def _known_names(self, first: int, each: list[bytes]) -> dict[bytes, bytes]:
        if self._twins is None:
            return {}
        wanted = set(each)
        names = {here: there for here, there in self._twins.names(first, len(each)).items() if here in wanted}
        known = self.session.known(BlobKind.CHUNK, list(names.values()))
        return {here: there for (here, there), flag in zip(names.items(), known, strict=True) if flag}

    def _fetch(self, read: PackRead) -> tuple[PackRead, list[tuple[bytes, bytes, Encoded | None]]]:
        return read, list(self._fetched(read))

    def _fetched(self, read: PackRead) -> Iterator[tuple[bytes, bytes, Encoded | None]]:
        """Id here, id there, and what is to be stored; None: the target has it."""
        with self._pool.lend() as room:
            for place, plain in self._blobs.fetch_into(read, room):
                name = self._ids.chunk(plain)
                there = all(self.session.known(BlobKind.CHUNK, [name]))
                yield place.id, name, None if there else self.session.encode(BlobKind.CHUNK, name, plain)


def _origin(repository: Repository, image: Image) -> Origin:
    """Where it was first made. A host that may only write has copied nothing, whatever it says."""
    own = Origin(repository.config.repository_id, image.id)
    return own if image.signer or image.origin is None else image.origin


def _same(image: Image) -> _Same:
    """What two images of one volume agree in; who signed them, too, as anybody may name any host and volume."""
    return image.host, image.volume.identity, image.chunk_size, image.signer
