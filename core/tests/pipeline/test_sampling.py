"""What of a changing volume is read twice: whole chunks, however its map is cut into windows."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import attrs
from hypothesis import given
from hypothesis import strategies as st

from holdstill.model.extents import Extents
from holdstill.pipeline.sampling import SAMPLES, sample

CHUNK, SIZE = 65536, 4 << 20


@attrs.frozen
class Map:
    """As much of a survey as sampling asks for."""

    used: Extents
    cuts: list[int]

    def windows(self) -> Iterator[Extents]:
        borders = [0, *self.cuts, SIZE]
        parts = (self.used.clip(a, b) for a, b in itertools.pairwise(borders))
        return (part for part in parts if part)


@given(
    runs=st.lists(st.tuples(st.integers(0, SIZE - 1), st.integers(1, 300_000)), min_size=1, max_size=20),
    cuts=st.lists(st.integers(1, SIZE - 1), max_size=30).map(sorted),
)
def test_each_sample_is_all_that_is_used_of_its_chunk(runs, cuts):
    used = Extents.of(*runs).clip(0, SIZE)

    chosen = sample(Map(used, cuts).windows(), used.total, CHUNK)

    assert 1 <= len(chosen) <= SAMPLES
    assert chosen == [(index, used.clip(index * CHUNK, (index + 1) * CHUNK)) for index, _ in chosen]
    assert all(part for _, part in chosen)
