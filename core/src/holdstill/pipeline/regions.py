"""The used bytes of a volume, cut into pieces that one worker reads and encodes at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import attrs
import numpy as np

from holdstill.model.extents import Extents
from holdstill.model.windows import regroup
from holdstill.spi.reader import Reader

#: holes are asked for in pieces of about so many bytes
_LOOK: Final = 64 << 20


@attrs.frozen
class Region:
    """A run of chunks in which some bytes are to be read.

    ``start`` and ``end`` are offsets on the volume, ``start`` a multiple of the chunk size; ``used`` lies inside
    them. Every other byte of a chunk that ``used`` touches is zero in the image, whatever the volume holds there.
    """

    start: int
    end: int
    used: Extents

    @property
    def solid(self) -> bool:
        """Is every byte of it used? So are most regions of most volumes."""
        return len(self.used) == 1 and self.used.total == self.end - self.start


def regions(windows: Iterable[Extents], reader: Reader, chunk_size: int, width: int) -> Iterator[Region]:
    """Cut ascending ``windows`` at multiples of ``width`` bytes, a multiple of ``chunk_size``.

    Known holes of the volume are left out: they are zeros without being read.
    """
    look = max(1, _LOOK // width) * width
    for start, used in regroup(windows, look):
        solid = used.difference(reader.holes(start, min(start + look, reader.size)))
        for _, wanted in regroup([solid], width):
            whole = wanted.align(chunk_size, reader.size)
            yield Region(int(whole.starts[0]), whole.end, wanted)


def clear_outside(cell: memoryview, start: int, used: Extents) -> None:
    """Zero the bytes of ``cell`` (which begins at offset ``start``) that are not in ``used``.

    A few gaps are cleared one by one; a badly fragmented cell by one masked store over its 512-byte pieces.
    """
    gaps = used.shift(-start).complement(len(cell))
    if len(gaps) > 32 and not ((gaps.starts | gaps.ends) & 511).any():
        pieces = np.frombuffer(cell, dtype=np.uint8).reshape(-1, 512)
        pieces[gaps.to_bitmap(512, 0, len(cell))] = 0
        return
    blank = np.frombuffer(cell, dtype=np.uint8)
    for first, past in zip(gaps.starts.tolist(), gaps.ends.tolist(), strict=True):
        blank[first:past] = 0
