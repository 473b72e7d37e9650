"""The proof: the restored volume is read back, past every cache, and compared with the image, zeros included."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import attrs

from holdstill.errors import ProofFailed
from holdstill.model.extents import Extents, union_of
from holdstill.model.image import Image
from holdstill.pipeline.buffers import BufferPool
from holdstill.pipeline.copying import WIDTH
from holdstill.pipeline.workers import in_order
from holdstill.pipeline.writing import zero_runs
from holdstill.repository.blobs import BlobReader
from holdstill.repository.digests import Ids, all_zero
from holdstill.repository.layout import ID_SIZE as ID
from holdstill.repository.layout import ZERO_ID, BlobKind
from holdstill.spi.conversation import Conversation
from holdstill.spi.meter import Meter
from holdstill.spi.reader import Reader

#: zero runs are asked for holes in pieces of this many bytes
_PIECE: Final = 64 << 30


@attrs.frozen
class _Span:
    """Some bytes of the volume, and the ids of the chunks that they must be; None: zeros only."""

    start: int
    end: int
    ids: bytes | None


@attrs.define
class Prover:
    """Compares what is on a volume with an image, by the ids of its chunks: nothing is fetched again."""

    image: Image
    ids: Ids
    blobs: BlobReader
    reader: Reader
    talk: Conversation
    workers: int
    preserved: Extents = attrs.field(factory=Extents.none)
    """Ranges that kept what was there: chunks that they touch are compared outside of them only."""

    def prove(self, meter: Meter) -> None:
        """Raises ``ProofFailed`` naming the first places that differ, ``ReadFault``, ``Cancelled``."""
        pool = BufferPool(max(WIDTH, self.image.chunk_size))

        def work(span: _Span) -> tuple[int, Extents]:
            with pool.lend() as buffer, buffer[: span.end - span.start] as cell:
                self.reader.readinto(span.start, cell)
                return len(cell), self._differing(span, cell)

        wrong = Extents.none()
        spans = self._spans(pool.size)
        for size, differing in in_order(work, spans, self.talk, workers=self.workers, item_size=pool.size):
            wrong = wrong.union(differing)
            meter.advance(size)
        if wrong:
            shown = ", ".join(f"{offset}+{length}" for offset, length in list(wrong)[:4])
            raise ProofFailed(
                f"{wrong.total} bytes in {len(wrong)} places are not what the image holds, first at {shown}",
                subject=f"image {self.image.id[:12]}",
                next_step="do not use the target: its device or its connection loses data. Restore to another one",
            )

    def _spans(self, width: int) -> Iterator[_Span]:
        chunk_size, size = self.image.chunk_size, self.image.sizes.volume_size
        each = width // chunk_size
        for first, count, ids in self.blobs.walk(self.image.chunks, BlobKind.CHUNK):
            start, end = first * chunk_size, min((first + count) * chunk_size, size)
            if ids is None:
                yield from self._zeros(start, end, width)
                continue
            zeros = zero_runs(ids)
            for index, length in zeros:
                offset = start + index * chunk_size
                yield from self._zeros(offset, min(offset + length * chunk_size, end), width)
            for index, length in zeros.complement(count):
                for at in range(index, index + length, each):
                    past = min(at + each, index + length)
                    offset = start + at * chunk_size
                    yield _Span(offset, min(start + past * chunk_size, end), ids[at * ID : past * ID])

    def _zeros(self, start: int, end: int, width: int) -> Iterator[_Span]:
        """What must be zero and is not a hole, which is zero without being read."""
        for piece in range(start, end, _PIECE):
            past = min(piece + _PIECE, end)
            solid = Extents.of((piece, past - piece)).difference(self.reader.holes(piece, past))
            for offset, length in solid:
                for at in range(offset, offset + length, width):
                    yield _Span(at, min(at + width, offset + length), None)

    def _differing(self, span: _Span, cell: memoryview) -> Extents:
        if span.ids is None:
            place = Extents.of((span.start, len(cell))).difference(self.preserved)
            return Extents.none() if all_zero(cell) else place
        chunk_size, wrong = self.image.chunk_size, []
        for number in range(len(span.ids) // ID):
            chunk = cell[number * chunk_size : (number + 1) * chunk_size]
            identity = span.ids[number * ID : (number + 1) * ID]
            offset = span.start + number * chunk_size
            place = Extents.of((offset, len(chunk)))
            if self.preserved.intersection(place):
                wrong.append(self._differing_outside(place.difference(self.preserved), offset, chunk, identity))
            elif self.ids.chunk(chunk) != identity:
                wrong.append(place)
        return union_of(wrong)

    def _differing_outside(self, place: Extents, offset: int, chunk: memoryview, identity: bytes) -> Extents:
        """The runs of ``place`` in which a chunk differs from the stored one."""
        stored = bytes(len(chunk))
        if identity != ZERO_ID:
            stored = self.blobs.fetch(self.blobs.plan(BlobKind.CHUNK, [identity])[0])[0][1]
        return Extents.of(
            *(
                (at, length)
                for at, length in place
                if chunk[at - offset : at - offset + length] != stored[at - offset : at - offset + length]
            )
        )
