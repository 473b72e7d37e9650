"""The block map that the engine hands out."""

from __future__ import annotations


def test_its_windows_may_be_read_more_than_once(bench, volume):
    with bench.engine.map(str(volume)) as used:
        once, again = list(used.windows()), list(used.windows())

    assert once == again
    assert sum(window.total for window in once) == used.result.used_size > 0
