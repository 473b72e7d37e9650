"""Wildcards of include-exclude lists, against the regular expressions that they mean."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from holdstill.preferences.patterns import fits, is_wild


@pytest.mark.parametrize(
    ("pattern", "fitting", "others"),
    [
        ("/home", ["/home"], ["/home/", "/homes", "home", ""]),
        ("/home*", ["/home", "/home2", "/homestead"], ["/home/x", "/hom"]),
        ("/dev/*/db", ["/dev/vg0/db", "/dev//db"], ["/dev/vg0/x/db", "/dev/db"]),
        ("/dev/vg?/db", ["/dev/vg1/db"], ["/dev/vg/db", "/dev/vg10/db", "/dev/vg//db"]),
        ("/fs[1-3a]", ["/fs1", "/fs3", "/fsa"], ["/fs4", "/fs-", "/fs", "/fsb"]),
        ("/fs[a-]", ["/fsa", "/fs-"], ["/fsb"]),
        ("/fs[x", ["/fs[x"], ["/fsx"]),
        ("/.../db", ["/db", "/a/db", "/a/b/db"], ["/adb", "/a/xdb", "db"]),
        ("/a/.../b/.../c", ["/a/b/c", "/a/x/b/y/z/c"], ["/a/c", "/a/xb/c"]),
        ("/home/...", ["/home/", "/home/a", "/home/a/b"], ["/home", "/homes"]),
        ("...", ["", "/a/b"], []),
        (r"/a\*b\\", ["/a*b\\"], ["/axb\\", r"/a\*b\\"]),
        ("/tail\\", ["/tail\\"], ["/tail"]),
    ],
)
def test_what_each_wildcard_takes(pattern, fitting, others):
    assert [path for path in [*fitting, *others] if fits(pattern, path)] == fitting


@pytest.mark.parametrize(
    ("text", "wild"), [("/home", False), ("/h*", True), ("/a.b", False), ("/...", True), ("[", True)]
)
def test_what_is_wild(text, wild):
    assert is_wild(text) is wild


MEANS = {"*": "[^/]*", "?": "[^/]", "[ab]": "[ab]", "/.../": "/(?:.*/)?", "/": "/", "a": "a", "b": "b"}


@given(st.lists(st.sampled_from(list(MEANS)), max_size=7), st.text("ab/", max_size=9))
@example(["/.../", "a", "/.../"], "/a/b/a/")
def test_patterns_are_the_regular_expressions_that_they_mean(pieces, path):
    expression = "".join(MEANS[piece] for piece in pieces)

    assert fits("".join(pieces), path) is bool(re.fullmatch(expression, path))


def test_no_pattern_takes_for_ever():
    """A matcher that goes back would still be here next year."""
    assert not fits("*a" * 60 + "b", "a" * 600)
    assert fits("*a" * 60, "a" * 600)
