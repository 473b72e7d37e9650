"""A listing and a table of packs are compared as dictionaries of keys would be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdstill.repository import layout, pack_table
from holdstill.repository.listing import ABSENT, UNTOLD, Listing
from holdstill.repository.pack_table import PackTable
from holdstill.spi.target import Listed

#: few numbers, and few randoms of which some agree in their first eight bytes
KEYS = st.builds(
    lambda number, prefix, rest: layout.pack_key(number, f"{prefix:016x}{rest:016x}"),
    st.sampled_from([1, 2, 9_999_999_999]),
    st.sampled_from([0, 1, 2**64 - 1]),
    st.integers(0, 2),
)
FOREIGN = st.sampled_from(["packs/x", "packs/0000000001/x", "packs/0000000001/" + "A" * 32])


def filled(keys, kept):
    """A table with these packs, the first ``kept`` of which were known before."""
    before = PackTable()
    for place, key in enumerate(keys[:kept]):
        before.append(key, place, 1, place, bytes(16))
    packs = PackTable(before.table.copy())
    for place, key in enumerate(keys[kept:], kept):
        packs.append(key, place, 1, place, bytes(16))
    return packs


@given(st.data(), st.lists(KEYS, unique=True), st.lists(st.tuples(st.one_of(KEYS, FOREIGN), st.integers(-1, 9))))
def test_they_are_compared_as_dictionaries_are(data, keys, listed):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pack_table, "_NEW", data.draw(st.sampled_from([0, 2, 1 << 14])))
        packs = filled(keys, data.draw(st.integers(0, len(keys))))
        known = dict(zip(keys, range(len(keys)), strict=True))
        shown = {key: size for key, size in dict(listed).items() if layout.split_pack_key(key)}
        listing = Listing(Listed(key, size) for key, size in dict(listed).items())
        assert listing.sizes(packs).tolist() == [shown.get(key, ABSENT) for key in keys]
        assert listing.latest == max((layout.split_pack_key(key)[0] for key in shown), default=0)
        unknown = listing.places(packs) < 0
        assert list(listing.some(unknown)) == sorted((key, size) for key, size in shown.items() if key not in known)
        asked = data.draw(st.sets(KEYS))
        assert {key for key in asked if key in listing} == asked & shown.keys()
        assert {key: packs.place_of(key) for key in asked} == {key: known.get(key) for key in asked}
        numbers = data.draw(st.sets(st.sampled_from([-1, 2, 3, 2**70])))
        named = packs.named(asked, numbers)
        assert named.tolist() == [key in asked or layout.split_pack_key(key)[0] in numbers for key in keys]


def test_what_is_renamed_or_forgotten_is_not_found():
    keys = [layout.pack_key(1, f"{number:032x}") for number in range(4)]
    packs, listing = filled(keys, 2), Listing(Listed(key, UNTOLD) for key in keys)
    for place in (1, 3):
        packs.rename(place, layout.pack_key(0, f"{place:032x}"))
    assert listing.places(packs).tolist() == [0, -1, 2, -1]
    assert packs.append(keys[1], 7, 1, 4, bytes(16)) == 4
    assert listing.places(packs).tolist() == [0, 4, 2, -1]
    assert listing.sizes(packs).tolist() == [UNTOLD, ABSENT, UNTOLD, ABSENT, UNTOLD]
    packs.start_over()
    assert listing.places(packs).tolist() == [-1] * 4
    assert packs.append(keys[0], 7, 1, 5, bytes(16)) == 5
    assert listing.places(packs).tolist() == [5, -1, -1, -1]
    assert np.flatnonzero(packs.named({keys[0]}, ())).tolist() == [0, 5]
