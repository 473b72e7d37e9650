"""What the tests of the repository share: a tiny backup and restore of bytes, and targets to do it on."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from holdstill.model.extents import Extents
from holdstill.model.image import Image, Sizes
from holdstill.model.volume import Consistency, Mode, VolumeFacts, VolumeKind
from holdstill.repository.layout import ID_SIZE, BlobKind
from holdstill.repository.opening import create
from holdstill.repository.repository import Repository
from holdstill.repository.verify import verify
from holdstill_testing.fakes.memory_target import MemoryTarget
from holdstill_testing.sealed import make

CHUNK = 65536


class Keeper:
    """Backs up and restores bytes, in one thread, the shortest way through the API."""

    chunk_size = CHUNK

    def backup(self, repository: Repository, data: bytes, used: Extents | None = None, *, path: str = "/v") -> Image:
        with repository.begin("host") as session:
            return session.commit(self.store(repository, session, data, used, path=path))

    def store(self, repository, session, data, used=None, *, path="/v"):
        used = Extents.whole(len(data)) if used is None else used
        tree, needed = session.chunks(), 0
        for at in range(0, len(data), CHUNK):
            chunk = data[at : at + CHUNK]
            chunk_id = repository.ids.chunk(chunk)
            if not all(session.known(BlobKind.CHUNK, [chunk_id])):
                session.add(BlobKind.CHUNK, [session.encode(BlobKind.CHUNK, chunk_id, chunk)])
            needed += session.need(BlobKind.CHUNK, [chunk_id])
            tree.append(chunk_id)
        writer = session.map_writer()
        writer.add(used)
        chunks, pieces = tree.finish(), writer.finish()
        session.flush()
        return Image(
            id="",
            number=0,
            host="host",
            taken=f"2026-01-01T00:00:{session.number % 60:02}Z",
            volume=VolumeFacts(path, path, VolumeKind.FILE, len(data)),
            mode=Mode.OFFLINE,
            consistency=Consistency.POINT_IN_TIME,
            sizes=Sizes(len(data), used.total, stored_size=session.stored_size, image_size=needed),
            chunk_size=CHUNK,
            chunks=chunks,
            map=pieces,
            map_block_size=4096,
            seconds=0.25,
        )

    def restore(self, repository: Repository, image: Image) -> bytes:
        reader = repository.blobs()
        out = bytearray(image.volume.size)
        for first, count, ids in reader.walk(image.chunks, BlobKind.CHUNK):
            places: dict[bytes, list[int]] = {}
            for at in range(count if ids is not None else 0):
                places.setdefault(ids[at * ID_SIZE : (at + 1) * ID_SIZE], []).append(first + at)
            for read in reader.plan(BlobKind.CHUNK, list(places)):
                for chunk_id, plain in reader.fetch(read):
                    for place in places[chunk_id]:
                        out[place * CHUNK : place * CHUNK + len(plain)] = plain
        return bytes(out)

    def used(self, repository: Repository, image: Image) -> Extents:
        runs = [run for piece in repository.blobs().map(image) for run in piece]
        return Extents.of(*runs)

    def verify(self, repository, images=None, *, read_data=True):
        return verify(repository, images, read_data=read_data, tell=lambda event: None, cancelled=lambda: False)

    def data(self, chunks: int, seed: int = 0) -> bytes:
        """A third noise, a third zeros, a third text, and a short last chunk."""
        dice = random.Random(seed)
        kinds: list[Callable[[], bytes]] = [
            lambda: dice.randbytes(CHUNK),
            lambda: bytes(CHUNK),
            lambda: dice.randbytes(64) * (CHUNK // 64),
        ]
        return b"".join(kinds[at % 3]() for at in range(chunks)) + b"the end"


@pytest.fixture
def keeper() -> Keeper:
    return Keeper()


@pytest.fixture
def target() -> MemoryTarget:
    return MemoryTarget()


@pytest.fixture
def repository(target: MemoryTarget) -> Repository:
    return create(target, chunk_size=CHUNK)


@pytest.fixture
def sealed(target: MemoryTarget) -> Repository:
    """A sealed repository on the target."""
    return make(target)
