"""Does an image have everything it needs? Walks its pages and its map, not its data."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import attrs
import numpy as np

from holdstill.errors import Cancelled, Damaged
from holdstill.model.extents import Extents, Offsets
from holdstill.model.image import Image
from holdstill.repository import layout, trees
from holdstill.repository.blobs import BlobReader
from holdstill.repository.condition import MISSING, Condition
from holdstill.repository.findings import Findings
from holdstill.repository.index import Flags
from holdstill.repository.layout import BlobKind
from holdstill.repository.rows import Rows


@attrs.define
class Coverage:
    """Checks images one after the other against one index. Memory: a few pages, a flag for each pack, and the id of
    each page of which nothing is missing: it is read once, and most images of a volume share most of their pages.
    """

    _reader: BlobReader
    _fanout: int
    _condition: Condition
    _findings: Findings
    _cancelled: Callable[[], bool]
    needed: Flags = attrs.field(init=False)
    """A flag for each pack: some image takes a chunk from it."""
    lost: dict[str, Extents] = attrs.field(factory=dict)
    """By image the bytes of the volume that cannot be restored."""
    _whole: dict[int, set[bytes]] = attrs.field(factory=dict)
    """By size of chunks."""

    def __attrs_post_init__(self) -> None:
        self.needed = np.zeros(len(self._condition.index.packs), dtype=np.bool_)

    def check(self, image: Image, advance: Callable[[int], None]) -> None:
        """Note what ``image`` lacks. ``advance`` is told of bytes of the volume that were looked at."""

        def hurt(damage: Damaged) -> None:
            self._findings.damage(damage, image.id)

        reached = 0
        whole = self._whole.setdefault(image.chunk_size, set())
        for first, count, ids in trees.walk(self._reader, self._fanout, image.chunks, BlobKind.CHUNK, hurt, whole):
            if self._cancelled():
                raise Cancelled("the verification was ended")
            self._hurt_at(image, np.arange(reached, first))
            reached = first + count
            if ids and self._is_whole(image, first, ids):
                whole.add(self._reader.page_id(ids))
            advance(count * image.chunk_size)
        self._hurt_at(image, np.arange(reached, image.chunks.count))
        try:
            for _ in trees.map_of(self._reader, self._fanout, image):
                pass
        except Damaged as damage:
            hurt(damage)

    def _hurt_at(self, image: Image, chunks: Offsets) -> None:
        """These chunks of the volume cannot be restored."""
        step = image.chunk_size
        for first, past in _runs(chunks):
            end = min(past * step, image.volume.size)
            lost = Extents.of((first * step, end - first * step))
            self.lost[image.id] = self.lost.get(image.id, Extents.none()).union(lost)

    def _is_whole(self, image: Image, first: int, ids: bytes) -> bool:
        """Is all there that the page lists, as long as it must be inside of a volume? Notes what is not."""
        each = np.frombuffer(ids, dtype=f"V{layout.ID_SIZE}")
        places = np.array(trees.filled(ids), dtype=np.int64)
        wanted = each[places]
        seen, rows = self._condition.index.locate(BlobKind.CHUNK, wanted.tobytes(), self._condition.good)
        self.needed[rows["pack"][seen]] = True
        for at in np.flatnonzero(~seen):
            self._blame(image, wanted[at].tobytes())
        self._hurt_at(image, first + places[~seen])
        self._check_lengths(image, first + places[seen], rows[seen])
        return bool(seen.all() and (rows["plain"] == image.chunk_size).all())

    def _blame(self, image: Image, chunk: bytes) -> None:
        """No good copy of this chunk: whose fault is it?"""
        bad = self._condition.index.places(BlobKind.CHUNK, chunk)
        for place in bad:
            if place.key in self._condition.gone:
                self._findings.add(place.key, MISSING, image.id)
            self._findings.hurts(place.key, image.id)
        if not bad:
            key = layout.commit_key(image.number, image.id)
            self._findings.add(key, "chunks that it needs are in no pack", image.id)

    def _check_lengths(self, image: Image, chunks: Offsets, rows: Rows) -> None:
        size, step = image.volume.size, image.chunk_size
        if (rows["plain"] != np.minimum(size - chunks * step, step)).any():
            key = layout.commit_key(image.number, image.id)
            self._findings.add(key, "chunks that it needs have a wrong length", image.id)


def _runs(indices: Offsets) -> Iterator[tuple[int, int]]:
    """The runs of following numbers, each with its end."""
    if indices.size:
        for run in np.split(indices, np.flatnonzero(np.diff(indices) != 1) + 1):
            yield int(run[0]), int(run[-1]) + 1
