"""The map of every kind of Btrfs, against dump-tree, and against the destruction of all it calls unused."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.root


def test_it_is_what_the_extent_tree_says(every_kind):
    """To the byte: both copies where there are two, and the little that no tree tells."""
    if not every_kind.kind.checkable:
        pytest.skip("the btrfs-progs of Debian 12 do not read it")

    assert every_kind.map() == every_kind.truth()


def test_nothing_it_needs_is_outside_the_map(every_kind, tmp_path):
    """The destruction test: all that the map calls unused becomes noise; btrfs check and every file must not notice."""
    assert every_kind.fsck() is None, "the image should be sound to begin with"

    destroyed = every_kind.destroyed(tmp_path / "destroyed.img", every_kind.map())

    assert every_kind.missing_from(destroyed) is None
