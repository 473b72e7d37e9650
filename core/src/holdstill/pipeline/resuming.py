"""Putting an image onto a volume that may hold much of it already: what is there is read, what differs is written."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

import attrs
import numpy as np

from holdstill.errors import Cancelled, ReadFault
from holdstill.model.extents import Extents
from holdstill.pipeline.buffers import BufferPool
from holdstill.pipeline.copying import WIDTH
from holdstill.pipeline.workers import in_order
from holdstill.pipeline.writing import ImageWriter, Places, filled_blocks
from holdstill.repository.digests import Ids
from holdstill.spi.meter import Meter
from holdstill.spi.reader import Reader

#: what must be zero is asked for holes in pieces of this many bytes
_PIECE: Final = 64 << 30


@attrs.frozen
class _Span:
    """Chunks that follow each other on the volume, and the ids that they must have."""

    first: int
    ids: list[bytes]


@attrs.define
class DifferenceWriter(ImageWriter):
    """Writes one image onto a volume, block by block only what is not there. Nothing is fetched for a chunk that is.

    Nothing at all is written while nothing differs; before the first byte changes the head is blanked, and it is
    written last. What cannot be read differs.
    """

    ids: Ids = attrs.field(kw_only=True)
    there: Reader = attrs.field(kw_only=True)
    """What the volume holds, past every cache."""
    differing_size: int = 0
    """Bytes of the volume that had to change, the blanked head among them."""
    _head: int = attrs.field(default=0, init=False)
    _changing: bool = attrs.field(default=False, init=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)
    _pool: BufferPool = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._pool = BufferPool(max(WIDTH, self.blobs.plain_size))

    def _begin(self, head: int) -> None:
        self._head = head

    def _change(self) -> None:
        """From here on half of it may be there: nothing may take it for a whole. Waits until that is so for sure."""
        with self._lock:
            if not self._changing:
                super()._zero(0, self._head)
                self.writer.flush()
                self.differing_size += self._head
                self._changing = True

    def _write_batch(self, places: Places, start: int, end: int, meter: Meter) -> None:
        left: Places = defaultdict(list)

        def differing(span: _Span) -> tuple[int, list[tuple[int, bytes]]]:
            return self._size_of(span), self._differing(span)

        for size, found in in_order(differing, self._spans(places), self.talk, workers=self.workers, item_size=WIDTH):
            for index, identity in found:
                left[identity].append(index)
            meter.advance(size - sum(self._length(index) for index, _ in found))
        if left:
            super()._write_batch(left, start, end, meter)

    def _spans(self, places: Places) -> Iterator[_Span]:
        most = max(1, WIDTH // self.image.chunk_size)
        wanted = sorted((index, identity) for identity, found in places.items() for index in found)
        at = 0
        while at < len(wanted):
            first = wanted[at][0]
            past = at + 1
            while past < len(wanted) and past - at < most and wanted[past][0] == first + past - at:
                past += 1
            yield _Span(first, [identity for _, identity in wanted[at:past]])
            at = past

    def _size_of(self, span: _Span) -> int:
        return sum(self._length(span.first + number) for number in range(len(span.ids)))

    def _length(self, index: int) -> int:
        return min(self.image.chunk_size, self.image.sizes.volume_size - index * self.image.chunk_size)

    def _differing(self, span: _Span) -> list[tuple[int, bytes]]:
        """The chunks of the span that are not what they must be, as far as their digests tell."""
        named = list(enumerate(span.ids, span.first))
        size = self.image.chunk_size
        with self._pool.lend() as room, room[: self._size_of(span)] as cell:
            if not self._read(span.first * size, cell):
                return named
            return [
                (index, identity)
                for number, (index, identity) in enumerate(named)
                if self.ids.chunk(cell[number * size : (number + 1) * size]) != identity
            ]

    def _read(self, offset: int, cell: memoryview) -> bool:
        try:
            self.there.readinto(offset, cell)
        except ReadFault:
            return False
        return True

    def _write_run(self, offset: int, content: memoryview, start: int, end: int) -> int:
        place = Extents.of((offset, len(content))).clip(start, end).difference(self.preserved)
        with self._pool.lend() as room, room[: len(content)] as cell:
            if place and self._read(offset, cell):
                place = place.intersection(_differing_blocks(content, cell).shift(offset))
        if not place:
            return 0
        self._change()
        self._count(place.total)
        return sum(
            super(DifferenceWriter, self)._write_run(at, content[at - offset : at - offset + length], start, end)
            for at, length in place
        )

    def _zero(self, offset: int, length: int) -> None:
        begin = max(offset, self._head)  # the head is compared as a whole, at the end
        for at, size in self._not_zero(begin, offset + length - begin):
            self._change()
            self._count(size)
            super()._zero(at, size)

    def _not_zero(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        for piece in range(offset, offset + length, _PIECE):
            past = min(piece + _PIECE, offset + length)
            solid = Extents.of((piece, past - piece)).difference(self.there.holes(piece, past))
            for begin, size in solid.difference(self.preserved):
                for at in range(begin, begin + size, WIDTH):
                    if self.talk.cancelled():
                        raise Cancelled("cancelled")
                    yield from self._filled(at, min(WIDTH, begin + size - at))

    def _filled(self, offset: int, length: int) -> Extents:
        with self._pool.lend() as room, room[:length] as cell:
            if not self._read(offset, cell):
                return Extents.of((offset, length))
            return filled_blocks(cell).shift(offset)

    def _put_head(self, content: memoryview) -> None:
        if not self._changing and self._has_head(content):
            return
        self._change()
        super()._put_head(content)

    def _has_head(self, content: memoryview) -> bool:
        place = Extents.whole(len(content)).difference(self.preserved)
        with self._pool.lend() as room, room[: len(content)] as cell:
            return self._read(0, cell) and not _differing_blocks(content, cell).intersection(place)

    def _count(self, size: int) -> None:
        with self._lock:
            self.differing_size += size


def _differing_blocks(content: memoryview, cell: memoryview) -> Extents:
    """The 4 KiB blocks in which two buffers of one length differ. What ``cell`` held is lost."""
    difference = np.frombuffer(cell, dtype=np.uint8)
    np.bitwise_xor(difference, np.frombuffer(content, dtype=np.uint8), out=difference)
    return filled_blocks(cell)
