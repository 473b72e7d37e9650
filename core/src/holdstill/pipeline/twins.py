"""What an image of the same volume was copied to: chunks that stayed where they were need not be read to be named."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs

from holdstill.errors import Damaged
from holdstill.model.image import Image
from holdstill.repository.blobs import BlobReader
from holdstill.repository.layout import ID_SIZE, ZERO_ID, BlobKind
from holdstill.repository.trees import Run, split


@attrs.define
class Twins:
    """An image in one repository and its copy in another: chunk by chunk the same content under two names."""

    _here: _Steps
    _there: _Steps

    @classmethod
    def of(cls, here: BlobReader, image: Image, there: BlobReader, copy: Image) -> Twins:
        """Both are read page by page, as they are asked for."""
        return cls(_Steps(here.walk(image.chunks, BlobKind.CHUNK)), _Steps(there.walk(copy.chunks, BlobKind.CHUNK)))

    def names(self, first: int, count: int) -> dict[bytes, bytes]:
        """By the id here, the id there of the chunks from ``first`` on. Asked for by rising ``first``; empty from where
        one of the two cannot be read any more.
        """
        try:
            pairs = zip(self._here.take(first, count), self._there.take(first, count), strict=True)
            return {here: there for here, there in pairs if here != ZERO_ID}
        except Damaged:
            self._here, self._there = _Steps(iter(())), _Steps(iter(()))
            return {}


@attrs.define
class _Steps:
    """Runs of ids, taken in pieces of other sizes."""

    _runs: Iterator[Run]
    _run: Run = (0, 0, None)

    def take(self, first: int, count: int) -> Iterable[bytes]:
        """The ids from ``first`` on; zero ids where there are none."""
        found: list[bytes] = []
        while len(found) < count:
            start, length, ids = self._run
            at = first + len(found)
            if at >= start + length:
                following = next(self._runs, None)
                if following is None:
                    break
                self._run = following
                continue
            past = min(start + length, first + count)
            if ids is None or at < start:
                found += [ZERO_ID] * ((past if ids is None else start) - at)
            else:
                found += split(ids[(at - start) * ID_SIZE : (past - start) * ID_SIZE])
        return found + [ZERO_ID] * (count - len(found))
