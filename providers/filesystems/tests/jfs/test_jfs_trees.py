"""Trees over bitmaps of any shape, built as jfsutils builds them, one leaf at a time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdstill_filesystems.jfs import allocation
from holdstill_testing.jfs2_images import largest_free, tree_over
from holdstill_testing.torture import rounds

#: how far apart the changes from used to free are: some within a word, some over many
SHAPES = st.lists(st.sampled_from([1, 2, 3, 5, 8, 31, 32, 33, 64, 500, 1024, 4096]), min_size=1, max_size=200)


def bits_of(shape, free_first):
    bits = np.repeat(np.arange(len(shape)) % 2 == int(free_first), shape)[:8192]
    return np.concatenate((bits, np.full(8192 - bits.size, len(shape) % 2 == int(free_first))))


def page_of(bits, order):
    words = np.packbits(bits).view(">u4").astype(f"{order}u4")
    row = np.zeros((1, 4096), dtype=np.uint8)
    row[0, 2048:3072] = row[0, 3072:] = words.view(np.uint8)
    return row


@settings(max_examples=rounds(300), deadline=None)
@given(SHAPES, st.booleans(), st.sampled_from("<>"))
def test_a_tree_that_was_built_from_its_bits_fits_them(shape, free_first, order):
    bits = bits_of(shape, free_first)
    leaves = np.array([largest_free(word) for word in bits.reshape(-1, 32)], dtype=np.int8)
    layout = type(allocation.BITMAP)("page", 4096, order, "", allocation.BITMAP.fields)
    own = allocation.AllocationMap(None, None, 8192, bitmap=layout)

    assert np.array_equal(own._free_in_words(page_of(bits, order))[0], leaves)
    assert not allocation._unlike(tree_over(leaves, 5)[np.newaxis], leaves[np.newaxis], 5)[0]


@settings(max_examples=rounds(300), deadline=None)
@given(SHAPES, st.booleans(), st.integers(0, 255))
def test_a_leaf_that_does_not_fit_its_word_is_seen(shape, free_first, which):
    bits = bits_of(shape, free_first)
    leaves = np.array([largest_free(word) for word in bits.reshape(-1, 32)], dtype=np.int8)
    if leaves[which] == 5:
        return
    other = leaves.copy()
    other[which] += 1

    assert allocation._unlike(tree_over(leaves, 5)[np.newaxis], other[np.newaxis], 5)[0]


@pytest.mark.parametrize("level", [0, 1, 2])
def test_trees_of_every_level_are_where_the_kernel_looks(level):
    """Pages of the map's file, for the first block that each tree speaks of (Linux jfs_dmap.h, BLKTODMAP)."""
    for block in (0, 1 << 23, 5 << 23, 1 << 33, (1 << 33) + (3 << 23), 7 << 33):
        dmap = (block >> 13) + (block >> 23) + (block >> 33) + 4
        lowest = ((block >> 23) << 10) + (block >> 23) + (block >> 33) + 3
        middle = ((block >> 33) << 20) + ((block >> 33) << 10) + (block >> 33) + 2
        expected = (lowest, middle, 1)[level]
        number = block >> (23, 33, 43)[level]

        assert allocation.tree_page(level, number) == expected
        assert int(allocation.bitmap_pages(np.array([block >> 13]))[0]) == dmap
