"""What images need: every chunk, page and map piece, each page looked into once however many images share it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import attrs
import numpy as np

from holdstill.errors import Damaged
from holdstill.model.image import Image, Tree
from holdstill.repository import layout, rows, trees
from holdstill.repository.blobs import BlobReader
from holdstill.repository.layout import ID_SIZE, BlobKind
from holdstill.repository.pages import height_of

#: so many pages are asked for at once
_TOGETHER: Final = 16

#: a kind of blob, and ids of 32 bytes each, none of them zero
Wanted = tuple[BlobKind, bytes]


@attrs.frozen
class Marking:
    """Walks the trees of images. Memory: the ids of their distinct pages."""

    _reader: BlobReader
    _fanout: int
    _seen: set[tuple[BlobKind, int, bytes]] = attrs.field(factory=set)

    def needed(self, images: Iterable[Image]) -> Iterator[Wanted]:
        """Every blob that one of these images needs; some more than once.

        Raises ``Damaged`` for a page that cannot be read: who deletes what is not needed must stop there.
        """
        for image in images:
            try:
                yield from self._of_tree(image, image.chunks, BlobKind.CHUNK)
                yield from self._of_tree(image, image.map, BlobKind.MAP)
            except Damaged as damage:
                raise Damaged(
                    f"image {image.id[:12]} of {image.volume.path} needs it: {damage.message}",
                    subject=damage.subject,
                    next_step="Nothing is deleted meanwhile. If verify cannot help it, `holdstill delete` that image.",
                ) from damage

    def _of_tree(self, image: Image, tree: Tree, kind: BlobKind) -> Iterator[Wanted]:
        if tree.height != height_of(tree.count, self._fanout):
            key = layout.commit_key(image.number, image.id)
            raise Damaged(f"a list of {tree.count} ids cannot be {tree.height} pages high", subject=key)
        if tree.count:
            yield from self._below(tree.root, tree.height, kind)

    def _below(self, ids: bytes, level: int, kind: BlobKind) -> Iterator[Wanted]:
        wanted = _not_zero(ids)
        if level == 0:
            yield kind, wanted
            return
        fresh = [each for each in dict.fromkeys(trees.split(wanted)) if (kind, level, each) not in self._seen]
        self._seen.update((kind, level, each) for each in fresh)
        yield BlobKind.PAGE, b"".join(fresh)
        for batch in _batches(fresh):
            pages = trees.fetched(self._reader, BlobKind.PAGE, batch).values()
            # What many pages list is looked for at once.
            for page in [b"".join(pages)] if level == 1 else pages:
                yield from self._below(page, level - 1, kind)


def _batches(ids: list[bytes]) -> Iterator[list[bytes]]:
    return (ids[at : at + _TOGETHER] for at in range(0, len(ids), _TOGETHER))


def _not_zero(ids: bytes) -> bytes:
    if not ids:
        return ids
    each = np.frombuffer(ids, dtype=f"V{ID_SIZE}")
    return each[rows.as_words(each).any(axis=1)].tobytes()
