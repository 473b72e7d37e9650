"""Streams: any cutting of a set into windows gives what the whole set gives, in the memory of one window."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdstill.model import windows
from holdstill.model.extents import Extents, union_of
from holdstill_testing import torture
from holdstill_testing.strategies import cuttings, extents, streams

SIZE = 96
TIB = 1 << 40
thorough = settings(max_examples=torture.rounds(2000), deadline=None)
sets = extents(SIZE)


def whole(stream) -> Extents:
    """All of a stream; and it is a proper one: no empty windows, no empty runs, and no run touches the next."""
    parts = list(stream)
    assert all(parts)
    runs = [run for part in parts for run in part]
    assert all(length > 0 for _, length in runs)
    assert all(one[0] + one[1] < other[0] for one, other in pairwise(runs))
    return union_of(parts)


@thorough
@given(st.data(), sets)
def test_joined_and_normalised_are_the_set_itself(data, some):
    cut = data.draw(cuttings(some))
    assert whole(windows.joined(cut)) == some
    assert whole(windows.normalise(cut, SIZE)) == some


@thorough
@given(st.data(), sets, sets)
def test_union_and_difference(data, one, other):
    cut = data.draw(cuttings(one)), data.draw(cuttings(other))
    assert whole(windows.union(*cut)) == one.union(other)
    assert whole(windows.difference(*cut)) == one.difference(other)


@thorough
@given(st.data(), sets)
def test_complement(data, some):
    assert whole(windows.complement(data.draw(cuttings(some)), SIZE)) == some.complement(SIZE)


@thorough
@given(st.data(), sets, st.integers(0, 20))
def test_coalesce(data, some, gap):
    assert whole(windows.coalesce(data.draw(cuttings(some)), gap)) == some.coalesce(gap)


@thorough
@given(st.data(), sets, st.integers(1, 40))
def test_align(data, some, unit):
    assert whole(windows.align(data.draw(cuttings(some)), unit, SIZE)) == some.align(unit, SIZE)


@thorough
@given(st.data(), sets, st.integers(1, 40))
def test_regroup(data, some, width):
    pieces = list(windows.regroup(data.draw(cuttings(some)), width))
    assert pieces == [(start, part) for start, _, part in some.windows(width, SIZE)]


@thorough
@given(streams(SIZE), st.integers(0, SIZE - 1))
def test_a_window_that_goes_back_is_refused(stream, at):
    if not union_of(stream).clip(at + 1, SIZE):
        return
    with pytest.raises(ValueError, match="goes back"):
        list(windows.normalise([*stream, Extents.of((at, 1))], SIZE))


def test_windows_that_are_not_canonical_are_put_in_order():
    loose = Extents(np.array([8, 2, 3]), np.array([9, 5, 6]))
    assert whole(windows.normalise([loose], 16)) == Extents.of((2, 4), (8, 1))


def test_only_the_overhang_of_a_last_block_is_cut_off():
    last = Extents.of((8, 8))
    assert whole(windows.normalise([last], 13, overhang=3)) == Extents.of((8, 5))
    assert not list(windows.normalise([Extents.of((13, 2))], 13, overhang=3))
    for overhang in (0, 2):
        with pytest.raises(ValueError, match="claims bytes up to 16 of a volume of 13"):
            list(windows.normalise([last], 13, overhang=overhang))


class Endless:
    """16 TiB in windows of a thousand runs: tens of millions of them. Counts how many windows were asked for."""

    def __init__(self, phase: int = 0) -> None:
        self.asked = 0
        self.phase = phase

    def __iter__(self):
        step = 1 << 20
        for base in range(0, 16 * TIB, 1000 * step):
            self.asked += 1
            starts = np.arange(1000, dtype=np.int64) * step + base + self.phase
            yield Extents(starts, starts + step // 2)


@pytest.mark.parametrize(
    "walk",
    [
        lambda one, other: windows.normalise(one, 17 * TIB),
        lambda one, other: windows.union(one, other),
        lambda one, other: windows.difference(one, other),
        lambda one, other: windows.complement(one, 17 * TIB),
        lambda one, other: windows.coalesce(one, 4096),
        lambda one, other: windows.align(one, 4096, 17 * TIB),
        lambda one, other: windows.regroup(one, 1 << 30),
    ],
    ids=["normalise", "union", "difference", "complement", "coalesce", "align", "regroup"],
)
def test_nothing_is_read_further_ahead_than_a_window_or_two(walk):
    one, other = Endless(), Endless(phase=1 << 18)
    results = walk(one, other)
    for _ in range(20):
        next(results)
    assert one.asked <= 24
    assert other.asked <= 24


def test_runs_that_never_end_are_held_as_one():
    step = 1 << 30
    touching = (Extents.of((at, step)) for at in range(0, 16 * TIB, step))
    assert list(windows.joined(touching)) == [Extents.whole(16 * TIB)]
