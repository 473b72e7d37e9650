"""Packs to volume: fetch, decode, write. The head of the volume comes last, so that a half restore never mounts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final

import attrs
import numpy as np

from holdstill.model.extents import Extents
from holdstill.model.image import Image
from holdstill.pipeline.buffers import BufferPool
from holdstill.pipeline.workers import in_order
from holdstill.repository.blobs import BlobReader, PackRead
from holdstill.repository.index import Place
from holdstill.repository.layout import ID_SIZE as ID
from holdstill.repository.layout import BlobKind
from holdstill.repository.trees import filled
from holdstill.spi.conversation import Conversation
from holdstill.spi.meter import Meter
from holdstill.spi.writer import Writer

#: where every file system, partition table and volume manager keeps what makes it mountable or recognisable
HEAD: Final = 1 << 20
#: bytes of volume whose chunks are fetched together: each pack is read once for all of them
BATCH: Final = 1 << 30
_BLOCK: Final = 4096

#: where on the volume, in chunks, each id stands
Places = dict[bytes, list[int]]


@attrs.define
class ImageWriter:
    """Writes one image onto a volume."""

    image: Image
    blobs: BlobReader
    writer: Writer
    talk: Conversation
    workers: int
    preserved: Extents = attrs.field(factory=Extents.none)
    """Ranges of the target that keep what is there."""
    written_size: int = 0

    def write(self, meter: Meter) -> None:
        """Blank the head, write the rest, make it durable, write the head. Raises ``Damaged``, ``WriteFault``,
        ``Cancelled``.
        """
        size = self.image.sizes.volume_size
        head = min(HEAD, size)
        self._begin(head)
        for places in self._batches():
            self._write_batch(places, head, size, meter)
        self.writer.flush()
        self._write_head(head)
        self.writer.flush()

    def _begin(self, head: int) -> None:
        self._zero(0, head)
        self.writer.flush()

    def _batches(self) -> Iterator[Places]:
        """Where which chunks belong, a bounded number at a time; runs of zeros are zeroed on the way, at once."""
        most = max(1, BATCH // self.image.chunk_size)
        held: Places = defaultdict(list)
        count = 0
        for first, length, ids in self.blobs.walk(self.image.chunks, BlobKind.CHUNK):
            if ids is None:
                self._zero_chunks(first, length)
                continue
            for index, zeros in zero_runs(ids):
                self._zero_chunks(first + index, zeros)
            count += _put(held, first, ids)
            if count >= most:
                yield held
                held, count = defaultdict(list), 0
        if held:
            yield held

    def _write_head(self, head: int) -> None:
        """Block by block, from the last to the first: what makes a volume mountable (a superblock, a label) stands
        before what it describes, so that whoever finds it finds the rest. The head was blanked: zeros are there.
        """
        self._put_head(memoryview(self._head_of_image(head)))

    def _put_head(self, content: memoryview) -> None:
        for at, length in reversed(list(filled_blocks(content).difference(self.preserved))):
            for start in reversed(range(at, at + length, _BLOCK)):
                if start == 0:
                    self.writer.flush()
                block = content[start : min(start + _BLOCK, at + length)]
                self.writer.write(start, block)
                self.written_size += len(block)

    def _head_of_image(self, head: int) -> bytearray:
        content = bytearray(head)
        places: Places = defaultdict(list)
        _put(places, 0, self._first_ids(head))
        for read in self.blobs.plan(BlobKind.CHUNK, list(places)):
            for identity, chunk in self.blobs.fetch(read):
                for index in places[identity]:
                    start = index * self.image.chunk_size
                    content[start : start + len(chunk)] = chunk[: head - start]
        return content

    def _first_ids(self, head: int) -> bytes:
        wanted = -(-head // self.image.chunk_size)
        found = b""
        for _, count, ids in self.blobs.walk(self.image.chunks, BlobKind.CHUNK):
            found += bytes(min(count, wanted) * ID) if ids is None else ids
            if len(found) >= wanted * ID:
                break
        return found[: wanted * ID]

    def _write_batch(self, places: Places, start: int, end: int, meter: Meter) -> None:
        """Write the chunks whose places are given, clipped to ``[start, end)`` of the volume."""
        pool = BufferPool(self.blobs.plain_size)

        def work(read: PackRead) -> tuple[int, int]:
            with pool.lend() as room:
                pieces = self._pieces(self.blobs.fetch_into(read, room), places)
                written = 0
                for offset, at, length in _joined(pieces):
                    with room[at : at + length] as content:
                        written += self._write_run(offset, content, start, end)
                return sum(length for _, _, length in pieces), written

        reads = self.blobs.plan(BlobKind.CHUNK, list(places))
        for done, written in in_order(work, reads, self.talk, workers=self.workers, item_size=pool.size):
            self.written_size += written
            meter.advance(done)

    def _pieces(self, blobs: Iterable[tuple[Place, memoryview]], places: Places) -> list[tuple[int, int, int]]:
        """Offset on the volume, place in the buffer, length of everything that was decoded, by rising offset."""
        pieces, at = [], 0
        for place, content in blobs:
            pieces += [(index * self.image.chunk_size, at, len(content)) for index in places[place.id]]
            at += len(content)
        return sorted(pieces)

    def _write_run(self, offset: int, content: memoryview, start: int, end: int) -> int:
        """Write what is not zero, zero the rest: a sparse file stays sparse. Returns the bytes written."""
        place = Extents.of((offset, len(content))).clip(start, end).difference(self.preserved)
        solid = place.intersection(filled_blocks(content).coalesce(self.writer.zero_grain - 1).shift(offset))
        for at, length in solid:
            self.writer.write(at, content[at - offset : at - offset + length])
        for at, length in place.difference(solid):
            self.writer.zero(at, length)
        return solid.total

    def _zero_chunks(self, first: int, count: int) -> None:
        size = self.image.chunk_size
        end = min((first + count) * size, self.image.sizes.volume_size)
        self._zero(first * size, end - first * size)

    def _zero(self, offset: int, length: int) -> None:
        for at, size in Extents.of((offset, length)).difference(self.preserved):
            self.writer.zero(at, size)


def _put(places: Places, first: int, ids: bytes) -> int:
    """Note where each of these ids stands, the zero id left out. Returns how many places those are."""
    found = filled(ids)
    for at in found:
        places[ids[at * ID : (at + 1) * ID]].append(first + at)
    return len(found)


def _joined(pieces: Iterable[tuple[int, int, int]]) -> Iterator[tuple[int, int, int]]:
    """The same, with what follows each other both on the volume and in the buffer in one piece."""
    offset = at = length = 0
    for following, beside, more in pieces:
        if length and (following, beside) == (offset + length, at + length):
            length += more
            continue
        if length:
            yield offset, at, length
        offset, at, length = following, beside, more
    if length:
        yield offset, at, length


def zero_runs(ids: bytes) -> Extents:
    """Which of these ids, by their number, stand for chunks of zeros only: an empty volume is full of them."""
    words = np.frombuffer(ids, dtype=np.uint64).reshape(-1, ID // 8)
    return Extents.from_bitmap(np.asarray(~words.any(axis=1)), 1)


def filled_blocks(chunk: memoryview) -> Extents:
    """The 4 KiB blocks of a chunk that hold anything but zeros."""
    whole = len(chunk) // _BLOCK
    blocks = np.frombuffer(chunk[: whole * _BLOCK], dtype=np.uint64).reshape(whole, _BLOCK // 8)
    solid = Extents.from_bitmap(np.bitwise_or.reduce(blocks, axis=1) != 0, _BLOCK)
    tail = chunk[whole * _BLOCK :]
    return solid.union(Extents.of((whole * _BLOCK, len(tail)))) if any(tail) else solid
