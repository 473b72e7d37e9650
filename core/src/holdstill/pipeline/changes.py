"""An image of which only that is read which changed since the last one; it is as whole as any other.

What changed is a provider's claim. What it leaves out is taken over from the last image chunk by chunk, a sample of
that is read and compared, and if one differs the whole claim is dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import attrs

from holdstill.errors import Damaged, ImageMissing, WriteOnly
from holdstill.held.marks import Marks
from holdstill.model.extents import Extents, union_of
from holdstill.model.image import Image
from holdstill.model.windows import align, complement, difference, union
from holdstill.pipeline.copying import Copier
from holdstill.pipeline.sampling import differing, sample
from holdstill.pipeline.spool import MapSpool
from holdstill.pipeline.survey import Surveyed
from holdstill.repository.blobs import BlobReader
from holdstill.repository.layout import ID_SIZE, BlobKind
from holdstill.repository.repository import Repository
from holdstill.spi.meter import Meter
from holdstill.spi.still import Still

#: so many ids of chunks are blanked at once
_PIECE: Final = 1 << 16


@attrs.frozen
class Changes:
    """What may differ from ``last``."""

    last: Image
    changed: Extents


def since_last(repository: Repository, marks: Marks, still: Still, volume: str, size: int) -> Changes | str:
    """What changed since the last image of ``volume`` that left a mark; or why everything is to be read."""
    marked = marks.last(volume)
    if marked is None:
        return "no snapshot of an earlier image was kept"
    try:
        last = repository.find(marked.image)
    except (ImageMissing, Damaged, WriteOnly) as error:
        return f"the image before cannot be used: {error}"
    if last.volume.identity != volume or last.sizes.volume_size != size or last.unread:
        return f"image {last.id[:12]} before is of something else, or not whole"
    if last.chunk_size != repository.config.chunk_size:
        return f"image {last.id[:12]} before has chunks of another size"
    changed = still.changed_since(marked.mark)
    return changed if isinstance(changed, str) else Changes(last, changed.clip(0, size))


def copy_changes(
    changes: Changes, copier: Copier, blobs: BlobReader, surveyed: Surveyed, scratch: Path, meter: Meter
) -> str | None:
    """Copy what changed, take over the rest. A reason: the claim is false or cannot be used, and everything is still
    to be copied.

    A chunk is read if the claim names a byte of it, if other bytes of it are in use than then, or if the repository
    has lost it.
    """
    size, chunk_size = copier.reader.size, copier.chunk_size
    with MapSpool(scratch) as dirty, MapSpool(scratch) as clean:
        try:
            lost = _taken_over(changes.last, copier, blobs)
            then = MapSpool(scratch)
            with then:
                for window in blobs.map(changes.last):
                    then.append(window)
                uses = union(
                    difference(surveyed.windows(), then.windows()), difference(then.windows(), surveyed.windows())
                )
                for window in align(union(uses, [changes.changed.union(lost)]), chunk_size, size):
                    dirty.append(window)
        except Damaged as error:
            return f"image {changes.last.id[:12]} before is damaged: {error}"
        _blank(copier, dirty.windows())
        for window in difference(surveyed.windows(), dirty.windows()):
            clean.append(window)
        copier.copy(_within(surveyed.windows(), dirty.windows(), size), meter)
        meter.advance(clean.total)
        wrong = differing(copier, sample(clean.windows(), clean.total, chunk_size))
    if wrong:
        return f"{wrong} chunks that were said to be as in image {changes.last.id[:12]} are not"
    return None


def _taken_over(last: Image, copier: Copier, blobs: BlobReader) -> Extents:
    """All ids of the image before, in the sheet; and where the repository has nothing for an id any more."""
    lost = []
    for first, _, ids in blobs.walk(last.chunks, BlobKind.CHUNK):
        if ids is None:
            continue
        copier.sheet.write(first, ids)
        each = [ids[at : at + ID_SIZE] for at in range(0, len(ids), ID_SIZE)]
        for at, known in enumerate(copier.session.known(BlobKind.CHUNK, each)):
            if not known:
                lost.append(Extents.of(((first + at) * copier.chunk_size, copier.chunk_size)))
    return union_of(lost).clip(0, copier.reader.size)


def _blank(copier: Copier, chunks: Iterable[Extents]) -> None:
    """Nothing is known of these: what of them is in use is written again."""
    for window in chunks:
        for offset, length in window:
            first, past = offset // copier.chunk_size, -(-(offset + length) // copier.chunk_size)
            for at in range(first, past, _PIECE):
                copier.sheet.write(at, bytes(ID_SIZE * min(_PIECE, past - at)))


def _within(windows: Iterable[Extents], chunks: Iterable[Extents], size: int) -> Iterator[Extents]:
    return difference(windows, complement(chunks, size))
