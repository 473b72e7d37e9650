"""What the plugin says of itself, and of restores."""

from __future__ import annotations

import sys

import attrs
import pytest

from holdstill.model.volume import FilesystemFacts, Mount
from holdstill_jfs2 import plugin, restoring
from holdstill_testing.suites.plugin import PluginSuite
from holdstill_testing.unix.jfs2_world import PLACE


class TestPublishedSuite(PluginSuite):
    @pytest.fixture
    def plugin(self):
        return plugin

    @pytest.fixture
    def entry_point(self) -> str:
        return "jfs2"


def test_it_applies_on_aix_alone(monkeypatch):
    for platform, applies in (("aix", True), ("aix7", True), ("linux", False), ("sunos5", False)):
        monkeypatch.setattr(sys, "platform", platform)
        info = plugin.provider_info()
        assert (info.applies_here, bool(info.because)) == (applies, not applies)


@attrs.frozen
class Taken:
    """What a restore asks of an image."""

    volume: object


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("rw,log=INLINE", "`logform /dev/fslv00`"),
        ("rw,log=/dev/hd8", "`logform /dev/hd8` (while no file system that uses that log is mounted)"),
        ("rw", "if the log is inside it"),
    ],
)
def test_after_a_restore_the_log_is_formatted_never_replayed(world, options, said):
    facts = attrs.evolve(
        world.volume().facts, filesystem=FilesystemFacts("jfs2"), mounts=(Mount(PLACE, "jfs2", options),)
    )
    part = plugin.restore(Taken(facts), world.volume())

    assert part.objections() == ()
    assert "formatted first" in part.by_hand_first()
    (note,) = part.finish()
    assert said in note
    assert "never be replayed" in note


def test_of_what_is_no_jfs2_nothing_is_said(world):
    for found in (None, FilesystemFacts("jfs")):
        facts = attrs.evolve(world.volume().facts, filesystem=found)
        assert restoring.destination(Taken(facts), world.volume()) is None
