"""Reading trees of ids: skipping zero parts, a few pages in memory."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Container, Iterator
from typing import TYPE_CHECKING, Final

import attrs
import numpy as np

from holdstill.errors import Damaged
from holdstill.model.extents import Extents
from holdstill.model.image import Image, Tree
from holdstill.repository import layout, maps
from holdstill.repository.layout import ID_SIZE, ZERO_ID, BlobKind
from holdstill.repository.pages import height_of

if TYPE_CHECKING:
    from holdstill.repository.blobs import BlobReader

#: so many pages, or pieces of a map, are asked for at once
_TOGETHER: Final = 16

Run = tuple[int, int, bytes | None]
OnDamage = Callable[[Damaged], None]


def walk(
    reader: BlobReader,
    fanout: int,
    tree: Tree,
    kind: BlobKind,
    on_damage: OnDamage | None = None,
    passed: Container[bytes] = (),
) -> Iterator[Run]:
    """See ``BlobReader.walk``. With ``on_damage`` what cannot be read is told of and left out. Of the lowest pages
    those that are ``passed`` are not read, and handed out empty, unless the list ends with them.
    """
    if tree.height != height_of(tree.count, fanout):
        raise Damaged(f"a list of {tree.count} ids cannot be {tree.height} pages high", subject=f"{kind.name.lower()}s")
    if tree.count:
        yield from _Walk(reader, fanout, tree.count, on_damage, passed).below(tree.root, tree.height, 0, tree.count)


@attrs.frozen
class _Walk:
    reader: BlobReader
    fanout: int
    count: int
    on_damage: OnDamage | None
    passed: Container[bytes]

    def below(self, ids: bytes, level: int, first: int, count: int) -> Iterator[Run]:
        """The elements under ``ids``, each standing for ``fanout ** level`` of them (the last for what is left)."""
        if level == 0:
            yield first, count, ids
            return
        reach, end, told = self.fanout**level, first + count, first
        places = filled(ids)
        for start in range(0, len(places), _TOGETHER):
            some = places[start : start + _TOGETHER]
            begins = [first + place * reach for place in some]
            wanted = [ids[place * ID_SIZE : (place + 1) * ID_SIZE] for place in some]
            for begin, page in zip(begins, self._pages(wanted, level, begins, end), strict=True):
                if told < begin:
                    yield told, begin - told, None
                told = min(end, begin + reach)
                if page == b"":
                    yield begin, reach, page
                elif page is not None:
                    yield from self.below(page, level - 1, begin, told - begin)
        if told < end:
            yield told, end - told, None

    def _pages(self, wanted: list[bytes], level: int, begins: list[int], end: int) -> Iterator[bytes | None]:
        reach = self.fanout**level
        inside = [level == 1 and begin + reach < self.count for begin in begins]
        passed = [may and each in self.passed for may, each in zip(inside, wanted, strict=True)]
        pages = self._fetched([each for each, known in zip(wanted, passed, strict=True) if not known])
        for begin, page_id, known in zip(begins, wanted, passed, strict=True):
            if known:
                yield b""
                continue
            page = pages.get(page_id)
            covered = min(end - begin, reach)
            if page is not None and len(page) != -(-covered // (reach // self.fanout)) * ID_SIZE:
                self._tell(Damaged(f"{len(page)} bytes are wrong at its place", subject=f"page {page_id.hex()}"))
                page = None
            yield page

    def _fetched(self, batch: list[bytes]) -> dict[bytes, bytes]:
        try:
            return fetched(self.reader, BlobKind.PAGE, batch)
        except Damaged as damage:
            if len(batch) == 1 or self.on_damage is None:
                self._tell(damage)
                return {}
        found: dict[bytes, bytes] = {}
        for page_id in batch:
            found |= self._fetched([page_id])
        return found

    def _tell(self, damage: Damaged) -> None:
        if self.on_damage is None:
            raise damage
        self.on_damage(damage)


def map_of(reader: BlobReader, fanout: int, image: Image) -> Iterator[Extents]:
    """See ``BlobReader.map``."""
    subject = layout.commit_key(image.number, image.id)
    reached = 0
    for _, _, ids in walk(reader, fanout, image.map, BlobKind.MAP):
        if ids is None or ZERO_ID in (pieces := list(split(ids))):
            raise Damaged("its block map has a piece that is no map", subject=subject)
        for at in range(0, len(pieces), _TOGETHER):
            batch = pieces[at : at + _TOGETHER]
            found = fetched(reader, BlobKind.MAP, batch)
            for piece_id in batch:
                runs = maps.unpack(found[piece_id], subject)
                if int(runs.starts[0]) < reached or runs.end > image.volume.size:
                    raise Damaged("its block map is out of order or leaves the volume", subject=subject)
                reached = runs.end
                yield runs


def fetched(reader: BlobReader, kind: BlobKind, ids: list[bytes]) -> dict[bytes, bytes]:
    """The plain bytes of a few blobs, by id."""
    return dict(itertools.chain.from_iterable(map(reader.fetch, reader.plan(kind, ids))))


def filled(ids: bytes) -> list[int]:
    """Which of these ids, by their number, are not the zero id."""
    words = np.frombuffer(ids, dtype=np.uint64).reshape(-1, ID_SIZE // 8)
    places: list[int] = np.flatnonzero(words.any(axis=1)).tolist()
    return places


def split(ids: bytes) -> Iterator[bytes]:
    """One id after the other."""
    return (ids[at : at + ID_SIZE] for at in range(0, len(ids), ID_SIZE))
