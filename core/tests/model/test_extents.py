"""Every operation on Extents against the plainest model there is: a Python int with one bit for each byte."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdstill.model.extents import LIMIT, Extents, union_of
from holdstill_testing import torture
from holdstill_testing.strategies import extents

SIZE = 96
thorough = settings(max_examples=torture.rounds(2000), deadline=None)
sets = extents(SIZE)
offsets = st.integers(0, SIZE)
units = st.integers(1, 40)


def bits_of(some: Extents) -> int:
    """The model: bit ``n`` is byte ``n``."""
    bits = 0
    for offset, length in some:
        bits |= ((1 << length) - 1) << offset
    return bits


def mask(start: int, end: int) -> int:
    return ((1 << max(0, end - start)) - 1) << start


def canonical(some: Extents, size: int = SIZE) -> bool:
    """Sorted, disjoint, not touching, inside, and not to be written to."""
    edges = np.stack((some.starts, some.ends), axis=1).ravel()
    ordered = bool((np.diff(edges) > 0).all())
    inside = not some or (int(edges[0]) >= 0 and int(edges[-1]) <= size)
    kinds = some.starts.dtype == some.ends.dtype == np.int64
    return ordered and inside and kinds and not some.starts.flags.writeable and not some.ends.flags.writeable


@thorough
@given(st.lists(st.tuples(st.integers(0, SIZE // 2), st.integers(0, SIZE // 2)), max_size=10))
def test_runs_in_any_order_become_canonical(runs):
    made = Extents.of(*runs)
    assert canonical(made)
    bits = 0
    for offset, length in runs:
        bits |= mask(offset, offset + length)
    assert bits_of(made) == bits
    assert union_of(Extents.of(run) for run in runs) == made


@thorough
@given(sets, sets)
def test_union_intersection_difference(one, other):
    for made, bits in (
        (one.union(other), bits_of(one) | bits_of(other)),
        (one.intersection(other), bits_of(one) & bits_of(other)),
        (one.difference(other), bits_of(one) & ~bits_of(other)),
    ):
        assert canonical(made)
        assert bits_of(made) == bits
    assert one.covers(other) == (bits_of(other) & ~bits_of(one) == 0)


@thorough
@given(sets, st.integers(0, SIZE + 10))
def test_complement_is_what_is_missing_and_an_involution(some, size):
    rest = some.complement(size)
    assert canonical(rest, size)
    assert bits_of(rest) == mask(0, size) & ~bits_of(some)
    assert rest.complement(size) == some.clip(0, size)


@thorough
@given(sets, st.integers(-5, SIZE + 5), st.integers(-5, SIZE + 5))
def test_clip(some, start, end):
    part = some.clip(start, end)
    assert canonical(part)
    assert bits_of(part) == bits_of(some) & mask(max(start, 0), end)


@thorough
@given(sets, st.integers(-SIZE, SIZE))
def test_shift_moves_every_byte_or_refuses(some, by):
    if some and int(some.starts[0]) + by < 0:
        with pytest.raises(ValueError, match="cannot move"):
            some.shift(by)
        return
    moved = some.shift(by)
    assert canonical(moved, 2 * SIZE)
    assert list(moved) == [(offset + by, length) for offset, length in some]


@thorough
@given(sets, st.integers(0, 20))
def test_coalesce_fills_exactly_the_short_gaps(some, gap):
    joined = some.coalesce(gap)
    assert canonical(joined)
    filled = joined.difference(some)
    inner_gaps = some.complement(some.end).clip(int(some.starts[0]) if some else 0, some.end)
    assert list(filled) == [run for run in inner_gaps if run[1] <= gap]


@thorough
@given(sets, units)
def test_align_is_the_smallest_superset_of_whole_pieces(some, unit):
    aligned = some.align(unit, SIZE)
    assert canonical(aligned)
    bits = 0
    for piece in range(0, SIZE, unit):
        whole = mask(piece, min(piece + unit, SIZE))
        if bits_of(some) & whole:
            bits |= whole
    assert bits_of(aligned) == bits


@thorough
@given(sets, units, offsets, offsets)
def test_bitmaps_there_and_back(some, unit, start, end):
    start, end = start // unit * unit, max(start, end)
    flags = some.to_bitmap(unit, start, end)
    assert flags.tolist() == [
        bool(bits_of(some) & mask(piece, min(piece + unit, end))) for piece in range(start, end, unit)
    ]
    back = Extents.from_bitmap(flags, unit, start)
    assert canonical(back, SIZE + unit)
    assert back.clip(start, end) == some.clip(start, end).align(unit, SIZE + unit).clip(start, end)


@thorough
@given(sets, units)
def test_the_windows_together_are_the_whole(some, width):
    windows = list(some.windows(width, SIZE))
    for start, end, part in windows:
        assert start % width == 0
        assert end == min(start + width, SIZE)
        assert part
        assert part == some.clip(start, end)
    assert [start for start, _, _ in windows] == sorted({start for start, _, _ in windows})
    assert union_of(part for _, _, part in windows) == some


@thorough
@given(sets)
def test_what_is_told_of_a_set(some):
    bits = bits_of(some)
    assert some.total == bits.bit_count()
    assert some.end == bits.bit_length()
    assert bool(some) == (bits > 0)
    assert len(some) == len(list(some))
    assert [offset in some for offset in range(SIZE)] == [bool(bits >> offset & 1) for offset in range(SIZE)]
    assert some == Extents.of(*reversed(list(some)))
    assert (some == Extents.none()) == (bits == 0)


def test_the_whole_of_a_volume():
    assert list(Extents.whole(7)) == [(0, 7)]
    assert not Extents.whole(0)
    assert Extents.whole(LIMIT).total == LIMIT


@pytest.mark.parametrize(
    "runs",
    [[(-1, 2)], [(0, -1)], [(LIMIT, 1)], [(1, LIMIT)], [(1 << 63, 1)], [(0, 1 << 64)]],
)
def test_ranges_that_cannot_be_are_refused(runs):
    with pytest.raises(ValueError, match="no such range"):
        Extents.of(*runs)


@pytest.mark.parametrize(
    ("offsets", "lengths"),
    [([-1], [2]), ([0], [-1]), ([LIMIT], [1]), ([1], [LIMIT]), ([2**63 - 1], [2**63 - 1]), ([0, 1], [1])],
)
def test_arrays_that_cannot_be_are_refused(offsets, lengths):
    with pytest.raises(ValueError, match=r"range is negative|flat arrays"):
        Extents.from_arrays(np.array(offsets, dtype=np.int64), np.array(lengths, dtype=np.int64))


def test_nothing_overflows_at_the_limit():
    top = Extents.of((LIMIT - 10, 10))
    assert top.union(Extents.of((0, 1))).total == 11
    assert list(top.complement(LIMIT)) == [(0, LIMIT - 10)]
    assert list(top.align(LIMIT, LIMIT)) == [(0, LIMIT)]
    assert top.align(1 << 61, LIMIT).total == 1 << 61
    assert top.clip(0, 1 << 70) == top
    assert top.coalesce(1 << 70) == top
    for impossible in (
        lambda: top.shift(1),
        lambda: Extents.whole(LIMIT + 1),
        lambda: top.complement(LIMIT + 1),
        lambda: top.align(LIMIT + 1, LIMIT),
        lambda: top.align(4096, LIMIT - 1),
        lambda: Extents.from_bitmap(np.ones(2, dtype=np.bool_), LIMIT),
        lambda: Extents.from_bitmap(np.ones(2, dtype=np.bool_), 1, -1),
    ):
        with pytest.raises(ValueError, match=r"no such|cannot"):
            impossible()


class Counted(np.ndarray):
    """An array that counts the numpy calls it takes part in."""

    calls = 0

    def __array_function__(self, function, types, args, kwargs):
        Counted.calls += 1
        return super().__array_function__(function, types, args, kwargs)

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        Counted.calls += 1
        plain = [np.asarray(item) if isinstance(item, Counted) else item for item in inputs]
        outs = {"out": tuple(np.asarray(item) for item in out)} if out else {}
        made = getattr(ufunc, method)(*plain, **outs, **kwargs)
        return made.view(Counted) if isinstance(made, np.ndarray) else made

    def __iter__(self):
        raise AssertionError("a Python loop over the runs")


def counted(runs: int, first: int) -> Extents:
    starts = np.arange(runs, dtype=np.int64) * 8 + first
    return Extents(starts.view(Counted), (starts + 3).view(Counted))


def cost(operation, runs: int) -> int:
    Counted.calls = 0
    operation(counted(runs, 1), counted(runs, 3))
    return Counted.calls


@pytest.mark.parametrize(
    "operation",
    [
        lambda a, b: a.union(b),
        lambda a, b: a.intersection(b),
        lambda a, b: a.difference(b),
        lambda a, b: a.complement(1 << 30),
        lambda a, b: a.clip(100, 1 << 20),
        lambda a, b: a.coalesce(4),
        lambda a, b: a.align(64, 1 << 30),
        lambda a, b: a.to_bitmap(64, 0, 1 << 20),
        lambda a, b: a.total,
    ],
    ids=["union", "intersection", "difference", "complement", "clip", "coalesce", "align", "to_bitmap", "total"],
)
def test_a_few_numpy_calls_whatever_the_number_of_runs(operation):
    few = cost(operation, 100)
    assert 0 < few < 80
    assert cost(operation, 100_000) == few
