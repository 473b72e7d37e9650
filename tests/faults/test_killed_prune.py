"""SIGKILL while a prune deletes, beside backups that are killed too: what is committed comes back, the rest goes."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import attrs
import pytest

from holdstill import BackupRequest, Engine, PruneRequest, VerifyRequest
from holdstill.model.requests import RestoreRequest
from holdstill_testing.conversations import Agreeing
from holdstill_testing.processes import Point, back_up, prune, run_for, run_until
from holdstill_testing.torture import dice, full

MIB = 1 << 20

pytestmark = [pytest.mark.torture, pytest.mark.timeout(7200)]


@attrs.define
class Ground:
    """A repository, its volumes, and what every image must give back."""

    place: object
    due: dict = attrs.field(factory=dict)

    @property
    def url(self):
        return str(self.place / "repository")

    @property
    def state(self):
        return str(self.place / "state")

    @property
    def engine(self):
        return Engine(state=self.state)

    def volume(self, name, pieces):
        path = self.place / name
        path.write_bytes(b"".join(pieces))
        return path

    def back_up(self, volume):
        result = self.engine.backup(self.url, BackupRequest(str(volume)), Agreeing())
        self.due[result.image] = volume.read_bytes()
        return result.image

    def everything_comes_back(self, *volumes):
        """Images of killed backups that were committed all the same hold what one of ``volumes`` holds."""
        images = self.engine.images(self.url)
        assert self.due.keys() <= {image.id for image in images}
        for image in images:
            back = self.place / "back"
            self.engine.restore(self.url, RestoreRequest(image.id, to_file=str(back)), Agreeing())
            expected = [self.due[image.id]] if image.id in self.due else [volume.read_bytes() for volume in volumes]
            assert back.read_bytes() in expected
            back.unlink()

    def nothing_is_wrong_and_nothing_is_left(self, *, fence=False):
        """A prune that nobody kills ends the work; then there is nothing more to do."""
        for _ in range(2):
            self.engine.prune(self.url, PruneRequest(repack_below=1.0, fence=fence), Agreeing())
        assert self.engine.verify(self.url, VerifyRequest(read_data=True), Agreeing()).findings == ()
        left = self.engine.prune(self.url, PruneRequest(repack_below=1.0, dry_run=True), Agreeing())
        assert (left.deleted_packs, left.waiting_packs) == (0, 0)


@pytest.fixture
def ground(tmp_path):
    """Three images that share pieces; the middle one is deleted."""
    draw = dice("prune")
    pieces = [draw.randbytes(MIB // 4) for _ in range(8)]

    def make(name):
        place = tmp_path / name
        place.mkdir()
        ground = Ground(place)
        ground.engine.init(ground.url)
        images = []
        for number, chosen in enumerate((pieces[:4], pieces[2:8], pieces[1:6:2])):
            images.append(ground.back_up(ground.volume(f"volume{number}", chosen)))
        ground.engine.delete(ground.url, images[1], Agreeing())
        del ground.due[images[1]]
        return ground

    return make


def test_killed_at_enumerated_points(ground, record_property):
    calm = ground("calm")
    total = run_until(Point(), prune, calm.url, calm.state, 1.0, False).calls
    calm.everything_comes_back()
    chosen = range(1, total + 1) if full() else sorted(dice("points").sample(range(1, total + 1), 6))
    killed = 0
    for at in chosen:
        victim = ground(str(at))
        killed += run_until(Point(at), prune, victim.url, victim.state, 1.0, False).killed
        victim.everything_comes_back()
        victim.nothing_is_wrong_and_nothing_is_left()
        victim.everything_comes_back()
    assert killed > len(chosen) // 2
    record_property("rounds", len(chosen))
    record_property("faults", killed)


def test_two_writers_and_a_prune_are_killed(ground, record_property):
    draw, killed, number = dice("all of them"), 0, 300 if full() else 5
    for at in range(number):
        victim = ground(str(at))
        volumes = [victim.place / "volume1", victim.volume("fresh", [os.urandom(MIB), b"x" * MIB])]
        jobs = [
            *((back_up, victim.url, str(volume), f"{victim.place}/host{at}") for at, volume in enumerate(volumes)),
            (prune, victim.url, f"{victim.place}/pruner", draw.choice([0.0, 0.5, 1.0]), draw.random() < 0.5),
        ]
        with ThreadPoolExecutor(len(jobs)) as pool:
            times = [draw.uniform(0, 0.4) for _ in jobs]
            ended = list(pool.map(lambda time, job: run_for(time, *job), times, jobs))
        killed += sum(each.killed for each in ended)
        victim.everything_comes_back(*volumes)
        victim.nothing_is_wrong_and_nothing_is_left(fence=True)  # other hosts, which do not come back, began
        victim.everything_comes_back(*volumes)
    record_property("rounds", number)
    record_property("faults", killed)
