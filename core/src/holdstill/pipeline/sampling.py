"""Some chunks read once more, evenly spread over what is in use: what is said of all is tried on a few."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from holdstill.errors import ReadFault
from holdstill.model.extents import Extents
from holdstill.model.windows import regroup
from holdstill.pipeline.copying import Copier
from holdstill.repository.layout import ID_SIZE

#: chunks that are read once more at most
SAMPLES: Final = 64
#: maps are looked through in pieces of this many bytes, a multiple of every chunk size
_PIECE: Final = 1 << 30


def differing(copier: Copier, chosen: Sequence[tuple[int, Extents]]) -> int:
    """How many of these chunks, read now, are not what the copier's sheet says."""
    changed = 0
    for index, used in chosen:
        start = index * copier.chunk_size
        chunk = bytearray(min(copier.chunk_size, copier.reader.size - start))
        try:
            for offset, length in used:
                with memoryview(chunk)[offset - start : offset - start + length] as room:
                    copier.reader.readinto(offset, room)
        except ReadFault:
            continue  # it was salvaged or refused before; it says nothing about change
        changed += copier.ids.chunk(chunk) != copier.sheet.read(index, 1)[:ID_SIZE]
    return changed


def sample(windows: Iterable[Extents], total: int, chunk_size: int) -> list[tuple[int, Extents]]:
    """Some of the chunks that ``windows``, ``total`` bytes in all, touch: ``(index, bytes of the windows in it)``."""
    every = max(1, total // SAMPLES)
    chosen: list[tuple[int, Extents]] = []
    passed, due = 0, every // 2
    for _, window in regroup(windows, _PIECE):  # so that no chunk stands in two windows
        ends = np.cumsum(window.lengths) + passed
        while due < int(ends[-1]) and len(chosen) < SAMPLES:
            at = int(np.searchsorted(ends, due, side="right"))
            offset = int(window.ends[at]) - (int(ends[at]) - due)
            index = offset // chunk_size
            if not chosen or chosen[-1][0] != index:
                chosen.append((index, window.clip(index * chunk_size, (index + 1) * chunk_size)))
            due += every
        passed = int(ends[-1])
    return chosen
