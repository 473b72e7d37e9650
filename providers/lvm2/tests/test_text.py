"""The language of LVM2's metadata: what its tools write comes apart right, and nothing that it is not gets through."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdstill.errors import StructureFault
from holdstill_lvm2.ondisk.group import group_in
from holdstill_lvm2.ondisk.text import parsed

GROUP = """
vg { id = "abc" seqno = 7 format = "lvm2" extent_size = 8192 # 4 Megabytes
  logical_volumes { home { id = "x" status = ["READ", "VISIBLE"] segment_count = 2
    segment1 { start_extent = 0 extent_count = 3 type = "striped" }
    segment2 { start_extent = 3 extent_count = 2 type = "mirror" } } } }
"""


def test_every_kind_of_value():
    text = 'a = 1 b = -2 c=0.5 d = "x \\"y\\" \\\\" e = [] f = ["p", 0,\n "q"] "g h" { i = "" } # the rest'
    assert parsed(text) == {
        "a": 1,
        "b": -2,
        "c": 0.5,
        "d": 'x "y" \\',
        "e": [],
        "f": ["p", 0, "q"],
        "g h": {"i": ""},
    }


@pytest.mark.parametrize(
    "wrong", ["a", "a =", "a = {", "a {", "}", "a = [1", "= 1", "a = b", "{", 'a = "x', "a = 1 ]", "a ! b", "[", "a b"]
)
def test_what_is_no_text_is_a_fault(wrong):
    with pytest.raises(StructureFault):
        parsed(wrong)


def test_depth_has_an_end():
    with pytest.raises(StructureFault, match="deep"):
        parsed("a {" * 100_000)


def test_a_group():
    group = group_in(GROUP)
    home = group.named("home")
    assert (group.name, group.sequence, group.extent_size, group.format) == ("vg", 7, 4 << 20, "lvm2")
    assert (home.size, home.kind, home.visible) == (5 * (4 << 20), "striped", True)
    assert group.named("other") is None


@pytest.mark.parametrize(
    ("cut", "paste"),
    [
        ('id = "abc"', "id = 5"),
        ("seqno = 7", 'seqno = "7"'),
        ("seqno = 7", "seqno = -7"),
        ("extent_size = 8192", ""),
        ("extent_count = 3", "extent_count = 99999999999999999999"),
        ("segment1 {", "other {"),
        ("logical_volumes {", "logical_volumes = 3 x {"),
        ("vg {", "x { } vg {"),
    ],
)
def test_a_group_that_is_wrong(cut, paste):
    text = GROUP.replace(cut, paste)
    if paste == "other {":
        text = text.replace("segment2 {", "more {")
    assert text != GROUP
    with pytest.raises(StructureFault):
        group_in(text)


@given(st.text(st.sampled_from(list('ab1{}[]=,"\\#\n .-')), max_size=200))
def test_any_text_is_parsed_or_a_fault(text):
    try:
        parsed(text)
    except StructureFault:
        return
