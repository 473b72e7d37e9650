"""Every n-th request to the storage fails, is torn, or is done without a reply: clear errors, nothing lost."""

from __future__ import annotations

import pytest

from holdstill import Engine
from holdstill.errors import HoldstillError, TargetError
from holdstill_testing.between import PutBetween
from holdstill_testing.conversations import Agreeing
from holdstill_testing.fakes.faulty_target import Fault, FaultyTarget, Planned
from holdstill_testing.torture import dice, full
from holdstill_testing.volumes import digest
from holdstill_testing.workbench import Workbench

pytestmark = [pytest.mark.torture, pytest.mark.timeout(7200)]

#: ``put`` stands for both ways to put
PUTS = ("put", "put_if_absent")


def with_faults(scene, *planned):
    """The same workbench, with the faults in the way; and the target, once it is opened."""
    opened = []

    def between(target):
        opened.append(FaultyTarget(target, *planned))
        opened[-1].local_path = target.local_path
        return opened[-1]

    engine = Engine(PutBetween(target=between), state=str(scene.bench.state))
    return Workbench(engine, scene.bench.repository, scene.bench.state), opened


def requests(scene):
    """How often each verb is used by a backup that nothing befalls."""
    bench, opened = with_faults(scene)
    bench.back_up(scene.volume)
    return dict(opened[0].calls)


def chosen(scene, verbs):
    made = requests(scene)
    every = [(verb, at) for verb in verbs for at in range(1, made.get(verb, 0) + 1)]
    assert len(every) > 5
    return every if full() else dice(f"failing {verbs}").sample(every, min(6, len(every)))


def tried(bench, volume):
    """The image, or the error."""
    try:
        return bench.back_up(volume)
    except HoldstillError as error:
        return error


@pytest.mark.parametrize("fault", [Fault.FAIL, Fault.DROP_REPLY])
@pytest.mark.parametrize("verbs", [PUTS, ("get", "get_range", "size", "list")], ids=["puts", "reads"])
def test_one_request_fails(scene, tmp_path, record_property, fault, verbs):
    points = chosen(scene.copied(tmp_path / "count"), verbs)
    for number, (verb, at) in enumerate(points):
        place = tmp_path / str(number)
        victim = scene.copied(place)
        bench, _ = with_faults(victim, Planned(fault, verb, at))
        outcome = tried(bench, victim.volume)
        if isinstance(outcome, HoldstillError):
            assert isinstance(outcome, TargetError)
            assert "planned to fail" in str(outcome)
        victim.bench.engine.recover(Agreeing())
        assert victim.bench.nothing_is_held()
        assert victim.bench.findings() == ()
        found = victim.assert_every_image_comes_back(place)
        assert found == (1 if isinstance(outcome, HoldstillError) else 2)
        victim.bench.back_up(victim.volume)
        assert victim.assert_every_image_comes_back(place) == found + 1
    record_property("rounds", len(points))
    record_property("faults", len(points))


def test_one_put_is_torn(scene, tmp_path, record_property):
    """What no target may do, and broken ones do: nothing that was committed is lost, and nothing is taken for whole."""
    points = chosen(scene.copied(tmp_path / "count"), PUTS)
    for number, (verb, at) in enumerate(points):
        place = tmp_path / str(number)
        victim = scene.copied(place)
        bench, _ = with_faults(victim, Planned(Fault.TEAR, verb, at))
        for outcome in (tried(bench, victim.volume), tried(victim.bench, victim.volume)):
            if isinstance(outcome, HoldstillError):
                assert str(outcome)
                assert outcome.id.startswith(("target", "repository."))
            else:
                victim.bench.restore(outcome.image, place / "restored")
                assert digest(place / "restored") == victim.due_now
                (place / "restored").unlink()
        victim.bench.restore(victim.image, place / "first")
        assert digest(place / "first") == victim.due_first
        victim.bench.engine.recover(Agreeing())
        assert victim.bench.nothing_is_held()
    record_property("rounds", len(points))
    record_property("faults", len(points))


@pytest.mark.parametrize("every", [2, 3, 5, 8])
def test_every_nth_put_fails(scene, tmp_path, record_property, every):
    victim = scene.copied(tmp_path / "victim")
    at = range(every, 500, every)
    bench, opened = with_faults(victim, *(Planned(Fault.FAIL, verb, number) for verb in PUTS for number in at))
    for _ in range(10):
        try:
            bench.back_up(victim.volume)
        except TargetError:
            assert victim.assert_every_image_comes_back(tmp_path) == 1
        else:
            break
    record_property("rounds", len(opened))
    record_property("faults", sum(target.calls[verb] // every for target in opened for verb in PUTS))
    victim.bench.engine.recover(Agreeing())
    assert victim.bench.nothing_is_held()
    assert victim.bench.findings() == ()
    victim.bench.back_up(victim.volume)
    victim.assert_every_image_comes_back(tmp_path)


def test_a_read_of_the_storage_fails_while_a_volume_is_put_back(scene, tmp_path, record_property):
    bench, opened = with_faults(scene)
    bench.restore(scene.image, tmp_path / "calm")
    every = range(1, opened[-1].calls["get_range"] + 1)
    for at in every:
        bench, _ = with_faults(scene, Planned(Fault.FAIL, "get_range", at))
        target = tmp_path / f"restored{at}"
        with pytest.raises(TargetError):
            bench.restore(scene.image, target)
        scene.bench.restore(scene.image, target)
        assert digest(target) == scene.due_first
        target.unlink()
    record_property("rounds", len(every))
    record_property("faults", len(every))
