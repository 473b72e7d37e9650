"""SIGKILL after every step of a copy that changed something on a disk, and at any instant: the next one goes on."""

import attrs
import pytest

from holdstill import CopyRequest
from holdstill.repository.config import Config
from holdstill.repository.layout import CONFIG
from holdstill_testing.conversations import Agreeing
from holdstill_testing.processes import Point, copy, run_for, run_until
from holdstill_testing.torture import dice, full, rounds
from holdstill_testing.volumes import MIB, digest
from holdstill_testing.workbench import Workbench

#: what a killed run may have stored that the next cannot use
OVERHEAD = 64 << 10

pytestmark = [pytest.mark.torture, pytest.mark.timeout(7200)]


@pytest.fixture(scope="module")
def both(scene, tmp_path_factory):
    """A repository with two images, and what each must give back."""
    grown = scene.copied(tmp_path_factory.mktemp("both"))
    second = grown.bench.back_up(grown.volume).image
    return grown, {grown.image: grown.due_first, second: grown.due_now}


@pytest.fixture
def empty(both, tmp_path):
    """Makes repositories with keys of their own, in packs of 1 MiB."""

    def make(name):
        place = tmp_path / str(name)
        config = Config.fresh(single_writer=False, chunk_size=64 << 10, digest=None, codec=None)
        bench = Workbench.at(place)
        bench.repository.mkdir(parents=True)
        (bench.repository / CONFIG).write_bytes(b"".join(attrs.evolve(config, pack_size=MIB).sealed()))
        return bench

    return make


def job(both, there):
    return copy, both[0].bench.url, there.url, str(there.state)


@pytest.fixture
def stored(both, empty):
    """What a copy that nobody kills adds, in bytes of packs."""
    calm = empty("calm")
    assert not run_until(Point(), *job(both, calm)).killed
    return sum(calm.packs().values())


def assert_it_goes_on(both, there, stored):
    """What is committed is whole, what was stored is used, nothing stays held. Returns how many were there already."""
    there.engine.recover(Agreeing())
    assert there.nothing_is_held()
    assert there.findings() == ()
    kept = sum(there.packs().values())
    done = there.engine.copy(both[0].bench.url, CopyRequest(there.url), Agreeing()).copies
    again = sum(there.packs().values()) - kept
    assert again + kept <= stored + OVERHEAD, "what the killed run stored is used"
    assert {each.image for each in done} == both[1].keys()
    for each in done:
        restored = there.state.parent / "restored"
        assert there.restore(each.copy, restored).proved
        assert digest(restored) == both[1][each.image]
        restored.unlink()
    assert there.findings() == ()
    return sum(each.already for each in done)


def test_killed_at_enumerated_points(both, empty, stored, record_property):
    total = run_until(Point(), *job(both, empty("count"))).calls
    chosen = range(1, total + 1) if full() else sorted({total - 1, *dice("copies").sample(range(1, total), 7)})
    found = set()
    for at in chosen:
        there = empty(at)
        ended = run_until(Point(at), *job(both, there))
        assert ended.killed or ended.calls < at, "a copy does not always have the same number of steps"
        found.add(assert_it_goes_on(both, there, stored))
    assert len(found) > 1, "some points lie before the first commit, some behind"
    record_property("rounds", len(chosen))
    record_property("faults", len(chosen))


def test_killed_again_and_again(both, empty, stored, record_property):
    """One repository, many kills."""
    draw, there, killed = dice("copied again"), empty("victim"), 0
    seconds = run_until(Point(), *job(both, empty("instants"))).seconds
    for _ in range(rounds(100)):
        killed += run_for(draw.uniform(0, seconds), *job(both, there)).killed
    assert_it_goes_on(both, there, stored)
    record_property("rounds", rounds(100))
    record_property("faults", killed)
