"""Still to repository: read, blank what is unused, digest, encode what is new. One pass over some windows of the
volume.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import Final

import attrs
import numpy as np

from holdstill.errors import ReadFault, VolumeChanged
from holdstill.model.extents import Extents
from holdstill.model.requests import OnReadError
from holdstill.pipeline.buffers import BufferPool
from holdstill.pipeline.regions import Region, clear_outside, regions
from holdstill.pipeline.sheet import Sheet
from holdstill.pipeline.workers import in_order
from holdstill.repository.digests import Ids
from holdstill.repository.layout import BlobKind
from holdstill.repository.rows import Encoded
from holdstill.repository.session import WriterSession
from holdstill.spi.conversation import Conversation
from holdstill.spi.meter import Meter
from holdstill.spi.reader import Reader
from holdstill.spi.still import Still

#: bytes of volume that one worker takes at a time
WIDTH: Final = 4 << 20


@attrs.frozen
class _Chunk:
    index: int
    id: bytes
    encoded: Encoded | None
    """None: it is zero, or the repository has it."""


@attrs.frozen
class _Done:
    region: Region
    chunks: list[_Chunk]


@attrs.define
class Copier:
    """Copies windows of a still into a writer's session, and their chunk ids into a sheet."""

    still: Still
    reader: Reader
    session: WriterSession
    ids: Ids
    sheet: Sheet
    chunk_size: int
    talk: Conversation
    workers: int
    on_read_error: OnReadError
    read_along: int
    read_size: int = 0
    new_chunks: int = 0
    unread: Extents = attrs.field(factory=Extents.none)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)

    def copy(self, windows: Iterable[Extents], meter: Meter) -> None:
        """Read what ``windows`` holds and store its chunks.

        A chunk is right as a whole only if ``windows`` holds all of its used bytes. Raises ``ReadFault``, or
        ``VolumeChanged`` where the still turns out to be untrue.
        """
        width = max(WIDTH, self.chunk_size)
        pool = BufferPool(width)

        def work(region: Region) -> _Done:
            with pool.lend() as buffer, buffer[: region.end - region.start] as cell:
                self._fill(cell, region)
                return _Done(region, self._encode(cell, region))

        todo = regions(windows, self.reader, self.chunk_size, width)
        try:
            for done in in_order(work, todo, self.talk, workers=self.workers, item_size=width):
                self._store(done)
                meter.advance(done.region.used.total, self.session.stored_size)
        except ReadFault:
            # An overflowed snapshot fails with a bare read error: the still knows better why.
            if reason := self.still.untrue():
                raise VolumeChanged(reason) from None
            raise

    def _fill(self, cell: memoryview, region: Region) -> None:
        if region.solid:
            self._read(region.start, cell)
            self._count(len(cell))
            return
        runs = region.used.coalesce(self.read_along).align(self.reader.alignment, self.reader.size)
        read = 0
        for offset, length in runs.clip(region.start, region.end):
            at = offset - region.start
            self._read(offset, cell[at : at + length])
            read += length
        self._count(read)
        clear_outside(cell, region.start, region.used)

    def _count(self, read: int) -> None:
        with self._lock:
            self.read_size += read

    def _read(self, offset: int, room: memoryview) -> None:
        try:
            self.reader.readinto(offset, room)
        except ReadFault:
            if self.on_read_error is OnReadError.FAIL or self.still.untrue():
                raise
            self._salvage(offset, room)

    def _salvage(self, offset: int, room: memoryview) -> None:
        """Halve the range until what cannot be read is small; that is zero in the image, and recorded."""
        grain = self.reader.alignment
        if len(room) <= grain:
            room[:] = bytes(len(room))
            with self._lock:
                self.unread = self.unread.union(Extents.of((offset, len(room))))
            return
        middle = max(grain, len(room) // 2 // grain * grain)
        self._read(offset, room[:middle])
        self._read(offset + middle, room[middle:])

    def _encode(self, cell: memoryview, region: Region) -> list[_Chunk]:
        size, first = self.chunk_size, region.start // self.chunk_size
        places = _places(region, size)
        plain = [cell[place * size : (place + 1) * size] for place in places]
        ids = [self.ids.chunk(chunk) for chunk in plain]
        known = self.session.known(BlobKind.CHUNK, ids)
        return [
            _Chunk(first + place, identity, None if there else self.session.encode(BlobKind.CHUNK, identity, chunk))
            for place, identity, there, chunk in zip(places, ids, known, plain, strict=True)
        ]

    def _store(self, done: _Done) -> None:
        encoded = [chunk.encoded for chunk in done.chunks if chunk.encoded is not None]
        if encoded:
            self.new_chunks += self.session.add(BlobKind.CHUNK, encoded)
        for run in _runs(done.chunks):
            self.sheet.write(run[0].index, b"".join(chunk.id for chunk in run))


def _places(region: Region, chunk_size: int) -> Sequence[int]:
    """Which chunks of the region hold used bytes."""
    if region.solid:
        return range(-(-(region.end - region.start) // chunk_size))
    bitmap = region.used.to_bitmap(chunk_size, region.start, region.end)
    places: list[int] = np.flatnonzero(bitmap).tolist()
    return places


def _runs(chunks: list[_Chunk]) -> Iterable[list[_Chunk]]:
    """The chunks in runs of following indices."""
    start = 0
    for at in range(1, len(chunks) + 1):
        if at == len(chunks) or chunks[at].index != chunks[at - 1].index + 1:
            yield chunks[start:at]
            start = at
