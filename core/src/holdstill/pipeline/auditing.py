"""A sample of what a block map calls unused, for somebody else to look at."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from holdstill.model import windows
from holdstill.model.extents import Extents

#: how many ranges are asked about at most, and how much of each, bytes
_MOST: Final = 256
_LONGEST: Final = 64 << 20


def sample(used: Iterable[Extents], size: int) -> Extents:
    """Ranges of ``[0, size)`` that are not in ``used``: each gap as likely as the other, another choice each time."""
    starts, ends = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    draws = np.empty(0)
    for gaps in windows.complement(used, size):
        starts, ends = np.concatenate((starts, gaps.starts)), np.concatenate((ends, gaps.ends))
        draws = np.concatenate((draws, _draws(len(gaps))))
        if draws.size > _MOST:
            kept = np.argpartition(draws, _MOST)[:_MOST]
            starts, ends, draws = starts[kept], ends[kept], draws[kept]
    lengths = np.minimum(ends - starts, _LONGEST)
    skipped = (_draws(starts.size) * (ends - starts - lengths + 1)).astype(np.int64)
    skipped = skipped // _LONGEST * _LONGEST  # so that no range begins within a block
    return Extents.from_arrays(starts + skipped, lengths)


def _draws(count: int) -> NDArray[np.float64]:
    """Random numbers in [0, 1). Numpy's own generators would take as long to load as a small volume to image."""
    bits = np.frombuffer(random.randbytes(8 * count), dtype=np.uint64) >> np.uint64(11)
    return bits.astype(np.float64) * 2.0**-53
