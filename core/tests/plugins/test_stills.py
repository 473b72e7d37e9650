"""Who makes a still: those that offer the mode are asked, one after the other; what they answer is checked."""

import attrs
import pytest

from holdstill.errors import NoProvider, PluginError
from holdstill.model.volume import Mode
from holdstill.pipeline.stills import DynamicStill
from holdstill.plugins.registry import Plugins
from holdstill.spi.still import HoldRequest
from holdstill_testing.fakes.answering_plugin import Plugin
from holdstill_testing.fakes.memory_volume import MemoryVolume
from holdstill_testing.fakes.recorded_holds import RecordedHolds

VOLUME = MemoryVolume(b"x" * 4096)


def asked_for(mode):
    return HoldRequest("run", RecordedHolds(), mode=mode)


def refuse(*_):
    raise NoProvider("not of this volume", subject="/fake/volume")


def test_snapshot_asks_those_that_offer_the_mode_until_one_can():
    still = DynamicStill(VOLUME)
    first = Plugin("first", modes=("snapshot",), snapshot=refuse)
    second = Plugin("second", modes=("snapshot", "static"), snapshot=lambda *_: still)
    other = Plugin("another", modes=("static",))
    away = Plugin("away", modes=("snapshot",), applies_here=False)
    request = asked_for(Mode.SNAPSHOT)
    assert Plugins.of(second, first, other, away).snapshot(VOLUME, request) is still
    assert first.asked == second.asked == [("snapshot", VOLUME, request)]
    assert other.asked == away.asked == []


def test_snapshot_asks_nobody_but_the_one_that_is_named():
    still = DynamicStill(VOLUME)
    first = Plugin("first", modes=("snapshot",), snapshot=lambda *_: still)
    second = Plugin("second", modes=("snapshot",), snapshot=lambda *_: still)
    request = attrs.evolve(asked_for(Mode.SNAPSHOT), provider="second")

    assert Plugins.of(first, second).snapshot(VOLUME, request) is still
    assert (first.asked, second.asked) == ([], [("snapshot", VOLUME, request)])
    with pytest.raises(NoProvider, match="no installed provider called second holds"):
        Plugins.of(first).snapshot(VOLUME, request)


def test_whether_anybody_holds_volumes_like_this():
    plugins = Plugins.of(
        Plugin("static", modes=("static",), snapshot=refuse),
        Plugin("away", modes=("freeze",), applies_here=False, snapshot=refuse),
    )
    assert [mode for mode in Mode if plugins.offers(mode)] == [Mode.STATIC]
    assert plugins.offers(Mode.STATIC, "static")
    assert not plugins.offers(Mode.STATIC, "away")


def test_snapshot_says_why_nobody_can():
    with pytest.raises(NoProvider, match="not of this volume"):
        Plugins.of(Plugin("one", modes=("snapshot",), snapshot=refuse)).snapshot(VOLUME, asked_for(Mode.SNAPSHOT))
    with pytest.raises(NoProvider) as caught:
        Plugins.of(Plugin("one")).snapshot(VOLUME, asked_for(Mode.STATIC))
    assert str(caught.value) == "/fake/volume: no installed provider holds a volume by static"
    assert caught.value.next_step == "install holdstill-static-unmount"


def test_snapshot_and_freeze_must_answer_with_what_they_promise():
    bad = Plugin("bad", modes=("snapshot", "freeze"), snapshot=1, freeze=None)
    with pytest.raises(PluginError, match="snapshot returned int, not Still"):
        Plugins.of(bad).snapshot(VOLUME, asked_for(Mode.SNAPSHOT))
    with pytest.raises(PluginError, match="freeze returned NoneType, not Freeze"):
        Plugins.of(bad).freeze(VOLUME, asked_for(Mode.FREEZE))


def test_who_can_freeze_this_volume_is_found_by_asking():
    with pytest.raises(NoProvider):
        Plugins.of(Plugin("one")).freeze(VOLUME, asked_for(Mode.FREEZE))
    not_mine = Plugin("one", modes=("freeze",), freeze=refuse)
    with pytest.raises(PluginError, match="freeze returned int"):
        Plugins.of(not_mine, Plugin("two", modes=("freeze",), freeze=2)).freeze(VOLUME, asked_for(Mode.FREEZE))
    with pytest.raises(NoProvider, match="not of this volume"):
        Plugins.of(not_mine).freeze(VOLUME, asked_for(Mode.FREEZE))
