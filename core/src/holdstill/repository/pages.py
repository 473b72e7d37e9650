"""Pages: a long list of ids, stored as a tree whose unchanged and whose zero parts cost nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from holdstill.model.buffers import Buffer
from holdstill.model.image import Tree
from holdstill.repository.digests import Digests
from holdstill.repository.layout import ID_SIZE, ZERO_ID, BlobKind
from holdstill.repository.rows import Encoded

#: a list of zero ids, copied from in pieces
_ZEROS: Final = memoryview(bytes(1 << 20))


class Store(Protocol):
    """Where blobs go: a writer session."""

    def known(self, kind: BlobKind, ids: Sequence[bytes]) -> list[bool]:
        """Are they stored?"""
        ...

    def encode(self, kind: BlobKind, blob_id: bytes, buffer: Buffer) -> Encoded:
        """Make it ready."""
        ...

    def add(self, kind: BlobKind, blobs: Sequence[Encoded]) -> int:
        """Store them."""
        ...


def store(target: Store, kind: BlobKind, blob_id: bytes, plain: Buffer) -> None:
    """Store a blob unless it is there (a zero blob always is)."""
    if not all(target.known(kind, [blob_id])):
        target.add(kind, [target.encode(kind, blob_id, plain)])


def height_of(count: int, fanout: int) -> int:
    """How many levels of pages a list of ``count`` ids has: the least ``h`` with ``fanout ** h >= count``."""
    height, reach = 0, 1
    while reach < count:
        height, reach = height + 1, reach * fanout
    return height


class TreeBuilder:
    """Takes ids in order and stores full pages as they come. Memory: one page a level."""

    def __init__(self, session: Store, digests: Digests, fanout: int) -> None:
        self._session = session
        self._digests = digests
        self._fanout = fanout
        self._page = fanout * ID_SIZE
        self._levels: list[bytearray] = [bytearray()]
        self._count = 0

    def append(self, ids: Buffer) -> None:
        """One or many ids: 32 bytes each, back to back."""
        assert len(ids) % ID_SIZE == 0
        self._count += len(ids) // ID_SIZE
        self._extend(0, memoryview(ids))

    def append_zeros(self, count: int) -> None:
        """``count`` zero ids, in time that hardly depends on ``count``."""
        self._count += count
        self._extend_zeros(0, count)

    def _extend(self, level: int, ids: memoryview) -> None:
        while ids:
            room = self._page - len(self._level(level))
            self._level(level).extend(ids[:room])
            ids = ids[room:]
            self._turn_if_full(level)

    def _extend_zeros(self, level: int, count: int) -> None:
        held = len(self._level(level)) // ID_SIZE
        if held:
            fill = min(count, self._fanout - held)
            self._extend(level, _ZEROS[: fill * ID_SIZE])
            count -= fill
        if pages := count // self._fanout:
            self._extend_zeros(level + 1, pages)
        if rest := count % self._fanout:
            self._extend(level, _ZEROS[: rest * ID_SIZE])

    def _level(self, level: int) -> bytearray:
        while level >= len(self._levels):
            self._levels.append(bytearray())
        return self._levels[level]

    def _turn_if_full(self, level: int) -> None:
        if len(self._levels[level]) == self._page:
            self._turn(level)

    def _turn(self, level: int) -> None:
        page = bytes(self._levels[level])
        self._levels[level].clear()
        page_id = self._digests.blob_id(BlobKind.PAGE, page)
        store(self._session, BlobKind.PAGE, page_id, page)
        self._extend(level + 1, memoryview(page_id))

    def finish(self) -> Tree:
        """The last pages are stored; this is the list."""
        height = height_of(self._count, self._fanout)
        for level in range(height):
            if self._level(level):
                self._turn(level)
        return Tree(bytes(self._level(height)) or ZERO_ID, height, self._count)
