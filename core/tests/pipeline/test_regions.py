"""Cutting the used bytes into regions, and blanking what is unused in them."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from holdstill.model.extents import Extents, union_of
from holdstill.pipeline.regions import clear_outside, regions
from holdstill.spi.reader import Reader

CHUNK, WIDTH = 1024, 4096


class Blank(Reader):
    """A reader of which only size and holes are asked."""

    def __init__(self, size, holes=()):
        self.size = size
        self._holes = Extents.of(*holes)

    def readinto(self, offset, buffer):
        raise AssertionError("nothing is read here")

    def holes(self, start, end):
        return self._holes.clip(start, end)

    def close(self):
        pass


runs = st.lists(st.tuples(st.integers(0, 40_000), st.integers(1, 6000)), max_size=12)


@given(used=runs, holes=runs, cuts=st.lists(st.integers(0, 46_000), max_size=4))
def test_regions_hold_exactly_the_used_bytes_that_are_no_holes(used, holes, cuts):
    size = 46_123
    whole, away = Extents.of(*used).clip(0, size), Extents.of(*holes).clip(0, size)
    borders = [0, *sorted(cuts), size]
    windows = [whole.clip(a, b) for a, b in itertools.pairwise(borders)]

    found = list(regions([w for w in windows if w], Blank(size, holes), CHUNK, WIDTH))

    assert union_of(region.used for region in found) == whole.difference(away)
    for region in found:
        assert region.start % CHUNK == 0
        assert region.end == size or region.end % CHUNK == 0
        assert region.start // WIDTH == (region.end - 1) // WIDTH
        assert Extents.of((region.start, region.end - region.start)).covers(region.used)
    assert all(a.end <= b.start for a, b in itertools.pairwise(found))


@given(used=runs, unit=st.sampled_from([1, 512]), start=st.sampled_from([0, 8192]))
def test_what_is_outside_becomes_zero_and_what_is_inside_stays(used, unit, start):
    size = 16_384
    place = Extents.of(*((offset // 4 * unit, length * unit) for offset, length in used)).clip(0, size)
    cell = bytearray(b"\xaa" * size)

    clear_outside(memoryview(cell), start, place.shift(start))

    expected = np.zeros(size, dtype=np.uint8)
    for offset, length in place:
        expected[offset : offset + length] = 0xAA
    assert bytes(cell) == expected.tobytes()


def test_a_cell_fragmented_at_every_second_block_is_blanked_too():
    used = Extents.of(*((block * 1024, 512) for block in range(128)))
    cell = bytearray(b"\xaa" * (128 * 1024))

    clear_outside(memoryview(cell), 0, used)

    assert bytes(cell) == (b"\xaa" * 512 + bytes(512)) * 128
