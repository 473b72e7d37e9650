"""SIGKILL while a prune deletes, beside backups that are killed too: what is committed comes back, the rest goes."""

from __future__ import annotations

import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs
import pytest

from holdstill import PruneRequest
from holdstill.repository.opening import open_repository
from holdstill_testing.conversations import Agreeing
from holdstill_testing.processes import Point, back_up, prune, run_for, run_until
from holdstill_testing.tiny import restored
from holdstill_testing.torture import dice, full
from holdstill_testing.warm import INSTALLED
from holdstill_testing.workbench import Workbench

MIB = 1 << 20

pytestmark = [pytest.mark.torture, pytest.mark.timeout(7200)]


@attrs.define
class Ground:
    """A repository, its volumes, and what every image must give back."""

    place: Path
    due: dict = attrs.field(factory=dict)

    @property
    def bench(self):
        return Workbench.at(self.place)

    def volume(self, name, pieces):
        path = self.place / name
        path.write_bytes(b"".join(pieces))
        return path

    def back_up(self, volume):
        image = self.bench.back_up(volume).image
        self.due[image] = volume.read_bytes()
        return image

    def copied(self, place):
        """The same once more, so that each round begins as the others did."""
        shutil.copytree(self.place, place)
        return Ground(place, dict(self.due))

    def everything_comes_back(self, *volumes):
        """Images of killed backups that were committed all the same hold what one of ``volumes`` holds. How many."""
        with INSTALLED.storage_target(self.bench.url) as target:
            repository = open_repository(target)
            images = {image.id: image for image in repository.images(exact=True)}
            assert self.due.keys() <= images.keys()
            for name, image in images.items():
                expected = [self.due[name]] if name in self.due else [volume.read_bytes() for volume in volumes]
                assert restored(repository, image) in expected
        return len(images) - len(self.due)

    def nothing_is_wrong_and_nothing_is_left(self, *, fence=False):
        """A prune that nobody kills ends the work; then there is nothing more to do."""
        bench = self.bench
        for _ in range(2):
            bench.engine.prune(bench.url, PruneRequest(repack_below=1.0, fence=fence), Agreeing())
        assert bench.findings() == ()
        left = bench.engine.prune(bench.url, PruneRequest(repack_below=1.0, dry_run=True), Agreeing())
        assert (left.deleted_packs, left.waiting_packs) == (0, 0)

    def jobs(self):
        """Two hosts that back up, one of them what was stored and deleted, and one that prunes."""
        url = self.bench.url
        return [
            (back_up, url, str(self.place / "volume1"), str(self.place / "host1")),
            (back_up, url, str(self.place / "volume3"), str(self.place / "host2")),
            (prune, url, str(self.place / "pruner"), 1.0, False),
        ]


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    """Three images that share pieces; the middle one is deleted. A fourth volume was never imaged."""
    draw = dice("prune")
    pieces = [draw.randbytes(MIB // 4) for _ in range(8)]
    ground = Ground(tmp_path_factory.mktemp("ground"))
    ground.bench.engine.init(ground.bench.url)
    chosen = (pieces[:4], pieces[2:8], pieces[1:6:2])
    images = [ground.back_up(ground.volume(f"volume{at}", each)) for at, each in enumerate(chosen)]
    ground.bench.engine.delete(ground.bench.url, images[1], Agreeing())
    del ground.due[images[1]]
    ground.volume("volume3", [draw.randbytes(MIB), b"x" * MIB, pieces[7]])
    return ground


def test_killed_at_enumerated_points(ground, tmp_path, record_property):
    calm = ground.copied(tmp_path / "calm")
    job = calm.jobs()[-1]
    total = run_until(Point(), *job).calls
    calm.everything_comes_back()
    chosen = range(1, total + 1) if full() else sorted(dice("points").sample(range(1, total + 1), 6))
    killed = 0
    for at in chosen:
        victim = ground.copied(tmp_path / str(at))
        killed += run_until(Point(at), *victim.jobs()[-1]).killed
        victim.everything_comes_back()
        victim.nothing_is_wrong_and_nothing_is_left()
        victim.everything_comes_back()
        shutil.rmtree(victim.place)
    assert killed > len(chosen) // 2
    record_property("rounds", len(chosen))
    record_property("faults", killed)


def instants(calm, number):
    """For each round, when each job is to be killed: half of the rounds after a call, evenly spread over its calls and
    shuffled, so that each meets each; half of them after a time, seconds. Some come when the job is done.
    """
    draw, half = dice("all of them"), number // 2
    after_calls = [[1 + at * (ended.calls + 2) // half for at in range(half)] for ended in calm]
    for each in after_calls:
        draw.shuffle(each)
    after_times = ([draw.uniform(0, 1.3 * ended.seconds) for ended in calm] for _ in range(number - half))
    return [*zip(*after_calls, strict=True), *after_times]


def killed_at(instant, job):
    return run_for(instant, *job) if isinstance(instant, float) else run_until(Point(instant), *job)


def together(run, *sides):
    with ThreadPoolExecutor(len(sides[0])) as pool:
        return list(pool.map(run, *sides))


def test_two_writers_and_a_prune_are_killed(ground, tmp_path, record_property):
    calm = together(lambda job: run_until(Point(), *job), ground.copied(tmp_path / "calm").jobs())
    killed, seen, number = 0, Counter(), 300 if full() else 10
    for at, when in enumerate(instants(calm, number)):
        victim = ground.copied(tmp_path / str(at))
        ended = together(killed_at, when, victim.jobs())
        assert {each.error for each in ended} == {""}
        killed += sum(each.killed for each in ended)
        volumes = [victim.place / "volume1", victim.place / "volume3"]
        seen[victim.everything_comes_back(*volumes)] += 1
        victim.nothing_is_wrong_and_nothing_is_left(fence=True)  # other hosts, which do not come back, began
        victim.everything_comes_back(*volumes)
        shutil.rmtree(victim.place)
    assert number < killed < 3 * number, "some come to their end"
    assert seen[0], "most are killed before their commit"
    assert seen[1] + seen[2], "some behind"
    record_property("rounds", number)
    record_property("faults", killed)
