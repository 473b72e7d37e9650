"""A repository whose chunks have 32 bytes and whose packs have three of them, so that everything happens soon."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

import attrs

from holdstill.errors import Fenced
from holdstill.model.extents import Extents
from holdstill.model.image import Image, Sizes
from holdstill.model.volume import Consistency, Mode, VolumeFacts, VolumeKind
from holdstill.repository.blobs import BlobReader
from holdstill.repository.config import Config
from holdstill.repository.layout import ID_SIZE, BlobKind
from holdstill.repository.opening import create
from holdstill.repository.repository import Repository
from holdstill.repository.session import WriterSession
from holdstill.spi.target import Target
from holdstill_testing.sealed import CHEAP

CHUNK: Final = 32


def tiny_config(target: Target) -> Config:
    """Make a repository on ``target``; what its tests open it with."""
    return tiny(target).config


def tiny(target: Target, password: bytes | None = None) -> Repository:
    """Make a repository on ``target``, a sealed one if there is a password."""
    made = create(target, digest="blake2b", codec="zlib", password=password, cost=CHEAP)
    return Repository(target, shrunk(made.config), made.unlocked)


def shrunk(config: Config) -> Config:
    """The same, but for the sizes. Rows have 58 bytes, and what is sealed is 49 bytes longer."""
    blob = CHUNK + 58 + 49 * config.is_sealed
    return attrs.evolve(config, chunk_size=CHUNK, pack_size=3 * blob, fanout=3)


def again(repository: Repository, target: Target, place: Path | None = None) -> Repository:
    """The same repository, as whoever holds the same keys opens it on his way to it, and remembers it in ``place``."""
    return Repository(target, repository.config, repository.unlocked, place)


def content(letters: str) -> bytes:
    """What a volume of that name holds: a chunk of noise for each letter, zeros for a dot."""
    return b"".join(
        bytes(CHUNK) if letter == "." else hashlib.blake2b(letter.encode(), digest_size=CHUNK).digest()
        for letter in letters
    )


def back_up(repository: Repository, letters: str, beginnings: int = 3, host: str = "host") -> Image:
    """An image of that volume, as the pipeline makes one: a fenced writer begins again."""
    while True:
        beginnings -= 1
        try:
            with repository.begin(host) as session:
                return session.commit(store(repository, session, letters))
        except Fenced:
            if not beginnings:
                raise


def store(repository: Repository, session: WriterSession, letters: str) -> Image:
    """Everything but the commit."""
    data, tree = content(letters), session.chunks()
    for at in range(0, len(data), CHUNK):
        chunk = data[at : at + CHUNK]
        chunk_id = repository.ids.chunk(chunk)
        if not all(session.known(BlobKind.CHUNK, [chunk_id])):
            session.add(BlobKind.CHUNK, [session.encode(BlobKind.CHUNK, chunk_id, chunk)])
        tree.append(chunk_id)
    writer = session.map_writer()
    writer.add(Extents.whole(len(data)))
    chunks, pieces = tree.finish(), writer.finish()
    session.flush()
    return Image(
        id="",
        number=0,
        host="host",
        taken="2026-01-01T00:00:00Z",
        volume=VolumeFacts(letters, letters, VolumeKind.FILE, len(data)),
        mode=Mode.OFFLINE,
        consistency=Consistency.POINT_IN_TIME,
        sizes=Sizes(len(data), len(data)),
        chunk_size=CHUNK,
        chunks=chunks,
        map=pieces,
        map_block_size=CHUNK,
        seconds=0.25,
    )


def restored(repository: Repository, image: Image) -> bytes:
    """What the image, of any small volume, holds. Its map is read too."""
    return read_back(repository.blobs(), image)


def read_back(reader: BlobReader, image: Image) -> bytes:
    """The same, by a reader that others have used before."""
    assert sum(runs.total for runs in reader.map(image)) == image.volume.size
    out = bytearray(image.volume.size)
    for first, count, ids in reader.walk(image.chunks, BlobKind.CHUNK):
        for at in range(count if ids is not None else 0):
            chunk_id = ids[at * ID_SIZE :][:ID_SIZE] if ids is not None else b""
            for read in reader.plan(BlobKind.CHUNK, [chunk_id]):
                for _, plain in reader.fetch(read):
                    start = (first + at) * image.chunk_size
                    out[start : start + len(plain)] = plain
    return bytes(out)
