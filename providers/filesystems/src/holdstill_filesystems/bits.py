"""Bitmaps as they lie on disks, without unpacking all of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from holdstill.model.extents import Extents


def from_packed(packed: NDArray[np.uint8], unit: int, base: int) -> Extents:
    """The set bits of a bitmap, lowest bit first, each standing for ``unit`` bytes, the first at offset ``base``.

    Only bytes in which a run begins or ends are looked at bit by bit.
    """
    carried = np.concatenate((np.zeros(1, dtype=np.uint8), packed[:-1] >> np.uint8(7)))
    turns: NDArray[np.uint8] = packed ^ (packed << np.uint8(1) | carried)
    places = np.flatnonzero(turns)
    which, bit = np.nonzero(np.unpackbits(turns[places, np.newaxis], axis=1, bitorder="little"))
    edges = places[which] * 8 + bit
    if edges.size % 2:
        edges = np.append(edges, packed.size * 8)
    return Extents(edges[0::2] * unit + base, edges[1::2] * unit + base)
