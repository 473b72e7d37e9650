"""Repository to repository: what an image needs is fetched, checked, named anew, and stored where it is not there."""

from __future__ import annotations

import platform
import time
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import Final

import attrs

from holdstill.errors import Damaged, Fenced, RepositoryError, UsageError
from holdstill.model.events import StageStarted, Warned
from holdstill.model.image import Image, Origin
from holdstill.model.requests import CopyRequest
from holdstill.model.results import CopyResult, ImageCopy
from holdstill.pipeline.imagecopy import ImageCopier
from holdstill.pipeline.twins import Twins
from holdstill.pipeline.workers import A_CORE, UNDER_WAY
from holdstill.repository.blobs import BlobReader
from holdstill.repository.carrying import Carriers
from holdstill.repository.hauling import hands
from holdstill.repository.needs import Needs
from holdstill.repository.repository import Repository, is_of
from holdstill.repository.retention import time_of
from holdstill.repository.session import Kept, unkept
from holdstill.spi.conversation import Conversation

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
    elsewhere: Carriers | None = None
    """Who reads and stores, in place of threads here."""
    _there: dict[Origin, Image] = attrs.field(factory=dict, init=False)
    """What the target has, by where it was first made."""
    _pairs: dict[_Same, tuple[Image, Image]] = attrs.field(factory=dict, init=False)
    """The last image of each volume that both have, here and there."""
    _carried: Needs = attrs.field(factory=Needs, init=False)
    """The rows of the source whose blobs were stored in this run."""
    _here: BlobReader = attrs.field(init=False)
    _beyond: BlobReader = attrs.field(init=False)

    def run(self, request: CopyRequest) -> CopyResult:
        """Copy what is asked for, the oldest first. A damaged image stops no other. Raises ``UsageError`` if both are
        one repository, ``ImageMissing``, ``Cancelled``, ``WorkersLost``, and what the targets raise: what was committed
        by then stays.
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
        with self._carriers() as carriers:
            copies = tuple(self._copied(image, carriers, dry_run=request.dry_run) for image in chosen)
        return CopyResult(self.target.target.url, copies, request.dry_run, round(time.monotonic() - began, 3))

    def _carriers(self) -> AbstractContextManager[Carriers]:
        if self.elsewhere is not None:
            return nullcontext(self.elsewhere)
        return hands(A_CORE * self.workers, UNDER_WAY // BlobReader.plain_size)

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

    def _copied(self, image: Image, carriers: Carriers, *, dry_run: bool) -> ImageCopy:
        origin = _origin(self.source, image)
        told = ImageCopy(image.id, None, image.volume.path, image.host, image.taken, already=False)
        if (there := self._there.get(origin)) is not None:
            return attrs.evolve(told, copy=there.id, already=True)
        if dry_run:
            return told
        try:
            copy, work = self._until_committed(image, origin, carriers)
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

    def _until_committed(self, image: Image, origin: Origin, carriers: Carriers) -> tuple[Image, ImageCopier]:
        """A fence only costs another number, as for a backup."""
        fenced: Fenced | None = None
        for _ in range(_BEGINNINGS):
            try:
                with self.target.begin(platform.node(), "copy") as session, self.kept(session):
                    twins, ids = self._twins(image), self.target.ids
                    work = ImageCopier(self._here, ids, session, self.talk, carriers, twins, self._carried)
                    return work.commit(image, origin), work
            except Fenced as error:
                fenced = error
                self.talk.tell(Warned(error.id, f"{error}; beginning again", image.volume.path))
        assert fenced is not None
        raise fenced

    def _twins(self, image: Image) -> Twins | None:
        pair = self._pairs.get(_same(image))
        return Twins.of(self._here, pair[0], self._beyond, pair[1]) if pair else None


def _origin(repository: Repository, image: Image) -> Origin:
    """Where it was first made. A host that may only write has copied nothing, whatever it says."""
    own = Origin(repository.config.repository_id, image.id)
    return own if image.signer or image.origin is None else image.origin


def _same(image: Image) -> _Same:
    """What two images of one volume agree in; who signed them, too, as anybody may name any host and volume."""
    return image.host, image.volume.identity, image.chunk_size, image.signer
