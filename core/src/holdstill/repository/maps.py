"""The block map of an image: runs of used bytes, in pieces that stay the same where the map stays the same."""

from __future__ import annotations

import struct
from typing import Final

import numpy as np

from holdstill.errors import Damaged
from holdstill.model.extents import LIMIT, Extents, union_of
from holdstill.model.image import Tree
from holdstill.repository.digests import Digests
from holdstill.repository.layout import BlobKind
from holdstill.repository.pages import Store, TreeBuilder, store

#: pieces end at multiples of this address, and after this many runs
WINDOW: Final = 1 << 36
LARGEST_RUNS: Final = 1 << 16

_COUNT: Final = struct.Struct("<I")


def pack(runs: Extents) -> bytes:
    """A piece of the map: number of runs, then the gap before each run, then the length of each run (u64, bytes).

    The first gap is counted from address 0.
    """
    gaps = runs.starts - np.concatenate((np.zeros(1, dtype=np.int64), runs.ends[:-1]))
    return _COUNT.pack(len(runs)) + gaps.astype("<u8").tobytes() + runs.lengths.astype("<u8").tobytes()


def unpack(piece: bytes, subject: str) -> Extents:
    """The runs of a piece. Raises ``Damaged`` unless ``pack`` could have written it."""
    count = _COUNT.unpack_from(piece)[0] if len(piece) >= _COUNT.size else 0
    if not 1 <= count <= LARGEST_RUNS or len(piece) != _COUNT.size + 16 * count:
        raise Damaged("a piece of the block map has a wrong size", subject=subject)
    columns = np.frombuffer(piece, dtype="<u8", offset=_COUNT.size).reshape(2, count)
    gaps, lengths = columns
    # Summed as Python integers, which do not wrap: a hostile piece must not look small.
    if sum(columns.ravel().tolist()) > LIMIT:
        raise Damaged("a piece of the block map goes past the largest address", subject=subject)
    if not lengths.all() or not gaps[1:].all():
        raise Damaged("a piece of the block map has empty runs or gaps", subject=subject)
    ends = np.cumsum(gaps + lengths).astype(np.int64)
    return Extents(ends - lengths.astype(np.int64), ends)


class MapWriter:
    """Takes the windows of a block map in ascending order. Memory: one piece."""

    def __init__(self, session: Store, digests: Digests, pieces: TreeBuilder) -> None:
        self._session = session
        self._digests = digests
        self._pieces = pieces
        self._held = Extents.none()

    def add(self, window: Extents) -> None:
        """The next runs; they start at or after the end of those before. Raises ValueError if not."""
        if window and int(window.starts[0]) < self._held.end:
            raise ValueError("the windows of a block map must ascend")
        self._held = union_of((self._held, window))
        self._cut(keep=True)

    def _cut(self, *, keep: bool) -> None:
        """Store whole pieces; with ``keep`` the last one is held back, as more may touch it."""
        held = self._held
        while held:
            border = (int(held.starts[0]) // WINDOW + 1) * WINDOW
            piece = held.clip(0, border)
            piece = Extents(piece.starts[:LARGEST_RUNS], piece.ends[:LARGEST_RUNS])
            if keep and piece.end == held.end:
                break
            self._store(piece)
            held = held.clip(piece.end, held.end)
        self._held = held

    def _store(self, piece: Extents) -> None:
        plain = pack(piece)
        blob_id = self._digests.blob_id(BlobKind.MAP, plain)
        store(self._session, BlobKind.MAP, blob_id, plain)
        self._pieces.append(blob_id)

    def finish(self) -> Tree:
        """The list of all pieces."""
        self._cut(keep=False)
        return self._pieces.finish()
