"""The sample of what a map leaves out: inside the gaps, of bounded size, and one that can hit any of them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from holdstill.model.extents import Extents, union_of
from holdstill.pipeline.auditing import sample

MIB = 1 << 20


@given(
    st.lists(st.tuples(st.integers(0, 4000), st.integers(1, 300)), max_size=60),
    st.integers(1, 7),
)
def test_it_lies_in_the_gaps(runs, pieces):
    used = Extents.of(*((start * MIB, length * MIB) for start, length in runs)).clip(0, 4096 * MIB)
    windows = [part for _, _, part in used.windows(4096 * MIB // pieces, 4096 * MIB)]

    asked = sample(windows, 4096 * MIB)

    assert not asked.intersection(used)
    assert asked.end <= 4096 * MIB
    assert bool(asked) == (used.total < 4096 * MIB)


def test_a_small_volume_is_asked_about_whole():
    used = Extents.of((0, MIB), (5 * MIB, 4096), (40 * MIB, 3 * MIB))

    assert sample([used], 50 * MIB) == used.complement(50 * MIB)


def test_of_many_gaps_some_are_asked_about_and_each_can_be():
    used = Extents.from_bitmap(np.arange(1000) % 2 == 0, 4096)
    asked = [sample([used], 1000 * 4096) for _ in range(200)]

    assert {len(one) for one in asked} == {256}
    assert union_of(asked) == used.complement(1000 * 4096)


def test_what_is_asked_about_begins_where_a_block_begins():
    assert sample([Extents.of((0, 4096 * 7))], 1 << 44).starts[0] % 4096 == 0
