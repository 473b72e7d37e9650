"""A repository as it is after years: one huge volume, many small ones, an image of each small one every day.

Config, ledger, records, segments, pages and the packs that hold them are real. Packs of chunks are holes, as long as
real ones would be: nothing here can be restored, everything else can be done.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Sequence
from pathlib import Path

import attrs
import numpy as np

from holdstill.model.buffers import Buffer
from holdstill.model.extents import Extents
from holdstill.model.image import Image, Sizes
from holdstill.model.volume import Consistency, FilesystemFacts, Mode, Mount, VolumeFacts, VolumeKind
from holdstill.repository import canonical, envelope, layout, packs, records, rolls, segments
from holdstill.repository.codecs import Codec
from holdstill.repository.layout import ID_SIZE, ZERO_ID, BlobKind, ObjectKind
from holdstill.repository.maps import MapWriter
from holdstill.repository.packs import PackBuilder
from holdstill.repository.pages import TreeBuilder
from holdstill.repository.repository import Repository
from holdstill.repository.rows import STORED, Encoded, Rows, encoded_blob

#: bytes of a chunk as it is stored: half of its size
ENCODED = 128 << 10
#: rows of a segment of a large backup
_SEGMENT = 70_000


@attrs.frozen
class Volume:
    """A volume as the repository knows it. ``ids``: of its used chunks, which come first, 32 bytes each."""

    name: str
    size: int
    ids: bytearray = attrs.field(repr=False)


@attrs.define
class Years:
    """Writes image after image, as if nobody else did."""

    repository: Repository
    folder: Path
    chunks: int = 0
    images: int = 0
    _random: np.random.Generator = attrs.field(factory=lambda: np.random.default_rng(7))
    _pages: set[tuple[BlobKind, bytes]] = attrs.field(factory=set)
    _meta: PackBuilder = attrs.field(factory=PackBuilder)
    _named: list[tuple[str, Rows]] = attrs.field(factory=list)
    """The packs of the image that is being made, and their rows."""
    _entries: list[bytes] = attrs.field(factory=list)
    """Of the ledger, those that are in no roll yet."""

    def volume(self, name: str, size: int, used: int) -> tuple[Volume, list[Rows]]:
        """A volume with so many used chunks, none of which is stored anywhere yet."""
        fresh = self._fresh(used)
        return Volume(name, size, bytearray(_ids(fresh))), fresh

    def changed(self, volume: Volume, count: int) -> list[Rows]:
        """So many chunks in a row are others now."""
        first = int(self._random.integers(0, len(volume.ids) // ID_SIZE - count))
        fresh = self._fresh(count)
        volume.ids[first * ID_SIZE : (first + count) * ID_SIZE] = _ids(fresh)
        return fresh

    def _fresh(self, count: int) -> list[Rows]:
        """Rows of chunks that were never seen, as many together as a pack holds."""
        rows = np.frombuffer(self._random.bytes(count * STORED.itemsize), dtype=STORED).copy()
        rows["kind"], rows["codec"] = BlobKind.CHUNK, Codec.ZSTD
        rows["plain"], rows["encoded"] = self.repository.config.chunk_size, ENCODED
        self.chunks += count
        each = self.repository.config.pack_size // ENCODED
        return [rows[at : at + each] for at in range(0, count, each)]

    def back_up(self, volume: Volume, fresh: list[Rows], taken: dt.datetime) -> Image:
        """An image of the volume as it is, whose ``fresh`` chunks are stored in packs of its own."""
        self.images += 1
        number, nonce = self.images, self._name()
        self._named = [(layout.pack_key(number, self._name()), rows) for rows in fresh]
        for key, rows in self._named:
            self._write_hollow(key, rows)
        digests, config = self.repository.digests, self.repository.config
        chunks = TreeBuilder(self, digests, config.fanout)
        chunks.append(memoryview(volume.ids))
        used = len(volume.ids) // ID_SIZE
        chunks.append_zeros(-(-volume.size // config.chunk_size) - used)
        writer = MapWriter(self, digests, TreeBuilder(self, digests, config.fanout))
        writer.add(Extents.whole(used * config.chunk_size))
        trees = chunks.finish(), writer.finish()
        if self._meta.count:
            self._write_meta()
        keys = [self._write_segment(number, part) for part in _parts(self._named)]
        entry = {"type": "begin", "nonce": nonce, "host": volume.name, "kind": "backup"}
        entry["commit"] = layout.commit_key(number, nonce)
        self._begin(number, entry)
        image = _record(volume, number, nonce, taken, trees, keys, config.chunk_size)
        self._write(entry["commit"], records.seal(digests, entry["commit"], image))
        return image

    # --- what a tree builder stores with ------------------------------------------------------------

    def known(self, kind: BlobKind, ids: Sequence[bytes]) -> list[bool]:
        """Pages and maps are stored once."""
        return [blob_id == ZERO_ID or (kind, blob_id) in self._pages for blob_id in ids]

    def encode(self, kind: BlobKind, blob_id: bytes, buffer: Buffer) -> Encoded:
        """Raw."""
        return encoded_blob(self.repository.digests, kind, blob_id, len(buffer), (Codec.RAW, bytes(buffer)))

    def add(self, kind: BlobKind, blobs: Sequence[Encoded]) -> int:
        """The pages of an image lie in one pack, or in a few."""
        for blob in blobs:
            self._pages.add((kind, blob.id))
            self._meta.add(blob)
            if self._meta.size >= self.repository.config.pack_size:
                self._write_meta()
        return len(blobs)

    def _write_meta(self) -> None:
        key = layout.pack_key(self.images, self._name())
        self._named.append((key, self._meta.rows()))
        self._write(key, self._meta.seal(self.repository.digests, key))
        self._meta = PackBuilder()

    # --- files --------------------------------------------------------------------------------------

    def _name(self) -> str:
        return self._random.bytes(16).hex()

    def _write(self, key: str, parts: Sequence[Buffer]) -> None:
        path = self.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(parts))

    def _write_hollow(self, key: str, rows: Rows) -> None:
        """A pack that is as long as it would be. What is in it is told by a segment, so nobody asks itself."""
        path = self.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.truncate(path, packs.size_of(rows, 0))

    def _begin(self, number: int, entry: dict[str, str]) -> None:
        """The entry of the ledger; and, as any writer does once there are enough, a roll."""
        digests, key = self.repository.digests, layout.ledger_key(number)
        parts = envelope.seal(digests, ObjectKind.LEDGER, key, canonical.encode(entry))
        self._write(key, parts)
        self._entries.append(b"".join(parts))
        if number % rolls.ROLL == 0:
            rolls.write(self.repository.target, digests, rolls.place_of(number), self._entries, exclusive=True)
            self._entries = []

    def _write_segment(self, number: int, named: list[tuple[str, Rows]]) -> str:
        key = layout.segment_key(number, self._name())
        self._write(key, segments.seal(self.repository.digests, key, named))
        return key


def _ids(fresh: list[Rows]) -> bytes:
    return b"".join(rows["id"].tobytes() for rows in fresh)


def _parts(named: list[tuple[str, Rows]]) -> list[list[tuple[str, Rows]]]:
    parts: list[list[tuple[str, Rows]]] = [[]]
    for each in named:
        if sum(len(rows) for _, rows in parts[-1]) > _SEGMENT:
            parts.append([])
        parts[-1].append(each)
    return parts


def _record(volume, number, nonce, taken, trees, keys, chunk_size):  # type: ignore[no-untyped-def]
    device = f"/dev/mapper/{volume.name}-data"
    facts = VolumeFacts(
        path=f"/srv/{volume.name}",
        device=device,
        kind=VolumeKind.BLOCK,
        size=volume.size,
        filesystem=FilesystemFacts("ext4", "data", volume.name, 4096, "clean"),
        mounts=(Mount(f"/srv/{volume.name}", "ext4", "rw,relatime", read_only=False),),
        identity=f"lvm:{volume.name}",
    )
    used = len(volume.ids) // ID_SIZE * chunk_size
    return Image(
        id=nonce,
        number=number,
        host=volume.name,
        taken=f"{taken:%Y-%m-%dT%H:%M:%SZ}",
        volume=facts,
        mode=Mode.SNAPSHOT,
        consistency=Consistency.POINT_IN_TIME,
        sizes=Sizes(volume.size, used, used, 0, used // 2),
        chunk_size=chunk_size,
        chunks=trees[0],
        map=trees[1],
        map_block_size=4096,
        seconds=60.0,
        segments=tuple(keys),
        made_by="holdstill, made up",
    )


def make(repository: Repository, folder: Path, chunks: int, images: int) -> Years:
    """``chunks`` and ``images`` in all: nine tenths of the chunks are of one volume of 20 TiB, which has two images;
    the others are of up to a hundred volumes, each imaged day after day.
    """
    years, start = Years(repository, folder), dt.datetime(2016, 1, 1, tzinfo=dt.UTC)
    huge, fresh = years.volume("huge", 20 << 40, chunks * 9 // 10)
    (folder.parent / "ids").write_bytes(huge.ids)
    last = start + dt.timedelta(days=images)
    years.back_up(huge, fresh, last)
    years.back_up(huge, [], last + dt.timedelta(days=1))
    number = max(1, min(100, (images - 2) // 10))
    small = [years.volume(f"host{at:03}", 8 << 30, chunks // 11 // number) for at in range(number)]
    each = (chunks - years.chunks) // max(1, images - 2 - number)
    for at in range(images - 2):
        volume, fresh = small[at % number]
        day = start + dt.timedelta(days=at // number, seconds=at)
        years.back_up(volume, fresh if at < number else years.changed(volume, max(1, each)), day)
    return years
