"""SIGKILL after every step of a backup that changed something on a disk, and at instants that nobody chose."""

import pytest

from holdstill_testing.conversations import Agreeing
from holdstill_testing.processes import Point, back_up, run_for, run_until
from holdstill_testing.torture import dice, full, rounds
from holdstill_testing.volumes import MIB

#: a put is durable with the sync of its folder, and visible with its link
PUTS_AND_SYNCS = ("fsync", "link", "rename")
#: what a killed run may have stored that the next cannot use: a footer that was on its way, and what names the packs
OVERHEAD = 64 << 10

pytestmark = [pytest.mark.torture, pytest.mark.timeout(7200)]


def job(scene):
    return back_up, scene.bench.url, str(scene.volume), str(scene.bench.state)


@pytest.fixture(scope="module")
def stored(scene, tmp_path_factory):
    """What a backup that nobody kills adds, in bytes of packs."""
    calm = scene.copied(tmp_path_factory.mktemp("calm"))
    before = sum(calm.bench.packs().values())
    ended = run_until(Point(), *job(calm))
    assert (ended.killed, ended.error) == (False, "")
    added = sum(calm.bench.packs().values()) - before
    assert added > 5 * MIB
    return added


def assert_nothing_is_lost(scene, place, stored):
    """What is committed comes back, what was stored is used again, nothing stays held. Returns the images found."""
    bench = scene.bench
    bench.engine.recover(Agreeing())
    assert bench.nothing_is_held()
    assert bench.findings() == ()
    committed = scene.assert_every_image_comes_back(place)
    before = sum(bench.packs().values())
    again = bench.back_up(scene.volume)
    kept = before - sum(scene.packs.values())
    assert again.sizes.stored_size + kept <= stored + OVERHEAD, "what the killed run stored is used"
    assert again.resumed_size <= kept
    if committed > 1:
        assert (again.new_chunks, again.resumed_size) == (0, 0)
    else:
        assert again.resumed_size + OVERHEAD >= kept, "and it is told"
    assert scene.assert_every_image_comes_back(place) == committed + 1
    assert bench.findings() == ()
    return committed


@pytest.mark.parametrize("calls", [PUTS_AND_SYNCS, None], ids=["every put and every sync", "every step"])
def test_killed_at_enumerated_points(scene, stored, tmp_path, record_property, calls):
    points = Point(calls=calls) if calls else Point()
    total = run_until(points, *job(scene.copied(tmp_path / "count"))).calls
    assert total > 30
    chosen = range(1, total + 1) if full() else sorted(dice("points").sample(range(1, total + 1), max(6, total // 10)))
    found = set()
    for at in chosen:
        place = tmp_path / str(at)
        killed = scene.copied(place)
        ended = run_until(Point(at, points.calls), *job(killed))
        assert ended.killed or ended.calls < at, "a backup does not always have the same number of steps"
        found.add(assert_nothing_is_lost(killed, place, stored))
    assert 1 in found
    assert 2 in found or not full(), "the last points lie behind the commit"
    record_property("rounds", len(chosen))
    record_property("faults", len(chosen))


def test_killed_at_any_instant(scene, stored, tmp_path, record_property):
    draw, killed = dice("instants"), 0
    seconds = run_until(Point(), *job(scene.copied(tmp_path / "calm"))).seconds
    for at in range(rounds(100)):
        place = tmp_path / str(at)
        victim = scene.copied(place)
        killed += run_for(draw.uniform(0, seconds), *job(victim)).killed
        assert_nothing_is_lost(victim, place, stored)
    record_property("rounds", rounds(100))
    record_property("faults", killed)


def test_killed_again_and_again(scene, stored, tmp_path, record_property):
    """One repository, many kills: what each run managed to store is there for the next."""
    draw, victim, killed = dice("again"), scene.copied(tmp_path / "victim"), 0
    seconds = run_until(Point(), *job(scene.copied(tmp_path / "calm"))).seconds
    for _ in range(rounds(100)):
        killed += run_for(draw.uniform(0, seconds), *job(victim)).killed
    committed = assert_nothing_is_lost(victim, tmp_path, stored)
    assert committed >= 1
    record_property("rounds", rounds(100))
    record_property("faults", killed)
