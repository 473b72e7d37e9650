"""Mount tables: recorded texts, made-up texts, and the kernel's own."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st

from holdstill_platforms.linux import mountinfo

#: from a Debian host with a container; one name has a space, a tab, a newline and a backslash in it
RECORDED = r"""22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
35 27 253:4 / /m/o rw,relatime shared:7 master:2 - xfs /dev/mapper/vg-o ro,attr2
36 27 253:4 /sub /srv/a\040b\011c\012d\134e ro,nosuid - xfs /dev/mapper/vg-o ro,attr2
37 35 0:44 / /m/o/deep rw - tmpfs tmpfs rw
38 27 0:50 /@home /home rw shared:9 - btrfs /dev/loop3 rw,subvolid=256
"""


def test_a_recorded_table() -> None:
    rows = mountinfo.parse(RECORDED)

    assert [row.id for row in rows] == [22, 27, 35, 36, 37, 38]
    sub = rows[3]
    assert (sub.path, sub.root, sub.source) == ("/srv/a b\tc\nd\\e", "/sub", "/dev/mapper/vg-o")
    assert sub.device == os.makedev(253, 4)
    assert rows[2].tags == ("shared:7", "master:2")


def test_read_only_is_what_the_superblock_says() -> None:
    by_id = {row.id: row.as_mount() for row in mountinfo.parse(RECORDED)}

    assert by_id[35].read_only  # the mount says rw, the superblock ro
    assert not by_id[27].read_only


def test_what_hangs_below() -> None:
    rows = mountinfo.parse(RECORDED)

    assert [row.path for row in mountinfo.below([rows[2]], rows)] == ["/m/o/deep"]
    assert mountinfo.below([rows[4]], rows) == []
    assert {row.id for row in mountinfo.below([rows[1]], rows)} == {22, 35, 36, 37, 38}


def test_a_table_that_turns_in_circles_ends() -> None:
    rows = mountinfo.parse("1 2 8:1 / /a rw - x y rw\n2 1 8:2 / /b rw - x y rw\n3 3 8:3 / /c rw - x y rw\n")

    assert [row.id for row in mountinfo.below([rows[0]], rows)] == [2]
    assert mountinfo.below([rows[2]], rows) == []


@given(st.text(alphabet="0123456789:/ -,\\\nabrw", max_size=300))
def test_no_text_is_too_strange(text: str) -> None:
    for row in mountinfo.parse(text):
        assert row.device >= 0


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1))
def test_escaped_names_come_back(name: str) -> None:
    escaped = name
    for mark, code in (("\\", r"\134"), (" ", r"\040"), ("\t", r"\011"), ("\n", r"\012")):
        escaped = escaped.replace(mark, code)

    (row,) = mountinfo.parse(f"1 0 8:1 / {escaped} rw - ext4 /dev/sda1 rw")

    assert row.path == name


def test_our_own_table_has_our_own_root() -> None:
    rows = mountinfo.own()

    assert mountinfo.row_at("/", rows) in [row for row in rows if row.path == "/"]
    assert mountinfo.row_at("/proc/self/status", rows).filesystem == "proc"
    assert mountinfo.row_at("/no/such/place", rows) is None
