"""SIGKILL while a volume is put back: half of a volume is never taken for one, and the next restore goes through."""

from contextlib import nullcontext
from pathlib import Path

import pytest

from holdstill_testing import volumes
from holdstill_testing.processes import Point, restore, run_for, run_until
from holdstill_testing.torture import dice, full, rounds
from holdstill_testing.volumes import MIB, attached, digest, recognised

SIZE = 24 * MIB

pytestmark = [pytest.mark.torture, pytest.mark.timeout(7200)]


@pytest.fixture(params=["new file", "old file", pytest.param("device", marks=pytest.mark.root)])
def fresh_target(request, tmp_path):
    """Makes a target: something that is not there, a file or a device with an ext4 of other content on it."""

    def make(number):
        path = tmp_path / f"target{number}"
        if request.param == "new file":
            return nullcontext(str(path))
        volumes.ext4(path, SIZE, "-L", "old")
        return nullcontext(str(path)) if request.param == "old file" else attached(path)

    return make


def assert_none_or_whole(scene, target, before):
    """Nothing is recognised on it, or all of the image is there, or nothing was written yet. True: the image is."""
    now = digest(target) if Path(target).exists() else None
    if now != before and recognised(target):
        assert now == scene.due_first, "half of a volume that looks like a whole one"
    assert scene.bench.nothing_is_held()
    return now == scene.due_first


def job(scene, target, resume):
    return restore, scene.bench.url, scene.image, target, str(scene.bench.state), None, resume


def assert_can_be_done_again(scene, target, resume):
    assert scene.bench.restore(scene.image, target, resume=resume).proved
    assert digest(target) == scene.due_first


@pytest.mark.parametrize("resume", [False, True], ids=["anew", "resumed"])
def test_killed_at_enumerated_points(scene, fresh_target, record_property, resume):
    with fresh_target("count") as target:
        total = run_until(Point(), *job(scene, target, resume)).calls
    assert total > 10
    chosen = range(1, total + 1) if full() else sorted({1, total, *dice("restore").sample(range(1, total), 6)})
    whole = 0
    for at in chosen:
        with fresh_target(at) as target:
            before = digest(target) if Path(target).exists() else None
            ended = run_until(Point(at), *job(scene, target, resume))
            assert ended.killed or ended.calls < at, "a restore does not always have the same number of steps"
            whole += assert_none_or_whole(scene, target, before)
            assert_can_be_done_again(scene, target, resume)
    assert whole, "the last points lie behind the head"
    assert whole < len(chosen)
    record_property("rounds", len(chosen))
    record_property("faults", len(chosen))


def test_killed_at_any_instant(scene, fresh_target, record_property):
    draw, killed = dice("restore instants"), 0
    with fresh_target("calm") as target:
        seconds = run_until(Point(), *job(scene, target, resume=False)).seconds
    for number in range(rounds(60)):
        with fresh_target(number) as target:
            before = digest(target) if Path(target).exists() else None
            instant = draw.uniform(0, seconds)
            resume = bool(number % 2)
            killed += run_for(instant, *job(scene, target, resume)).killed
            assert_none_or_whole(scene, target, before)
            assert_can_be_done_again(scene, target, resume)
    record_property("rounds", rounds(60))
    record_property("faults", killed)
    assert scene.bench.findings() == ()
