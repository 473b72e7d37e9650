"""A writer that is killed, or whose target fails, at any put: what was committed restores, the rest is reused."""

from __future__ import annotations

import attrs
import pytest

from holdstill.errors import TargetError
from holdstill.repository.config import Config
from holdstill.repository.opening import open_repository
from holdstill.repository.repository import Repository
from holdstill_testing.fakes.faulty_target import Fault, FaultyTarget, Planned
from holdstill_testing.fakes.memory_target import MemoryTarget

CHUNK = 65536


class Filmed(MemoryTarget):
    """Keeps what the target held after every put: what a kill at that moment leaves behind."""

    def __init__(self, objects):
        super().__init__()
        self.objects = dict(objects)
        self.film = []

    def put_if_absent(self, key, parts):
        done = super().put_if_absent(key, parts)
        with self.lock:
            self.film.append(dict(self.objects))
        return done


@pytest.fixture
def begun(keeper):
    """A repository with small packs and one image: its objects, the image, its data."""
    target = MemoryTarget()
    config = Config.fresh(single_writer=False, chunk_size=CHUNK, digest=None, codec=None)
    repository = Repository(target, attrs.evolve(config, pack_size=4 * CHUNK))
    target.put("config", repository.config.sealed())
    data = keeper.data(30, seed=1)
    return target.objects, keeper.backup(repository, data), data


def on(objects):
    target = MemoryTarget()
    target.objects = dict(objects)
    return open_repository(target)


def whole(keeper, repository, images):
    """These images restore, and verify has nothing to say."""
    for image, data in images:
        assert keeper.restore(repository, image) == data
    assert keeper.verify(repository).findings == ()


def test_killed_after_every_put(begun, keeper):
    objects, first, old = begun
    new = keeper.data(60, seed=2)
    target = Filmed(objects)
    second = keeper.backup(open_repository(target), new)
    assert len(target.film) > 8
    stored = []
    for scene in target.film:
        left = on(scene)
        committed = left.images()
        assert committed in ([first], [first, second])
        whole(keeper, left, [(first, old), (second, new)][: len(committed)])
        again = keeper.backup(left, new)
        stored.append(again.sizes.stored_size)
        whole(keeper, left, [(first, old), (again, new)])
    assert stored[0] >= second.sizes.stored_size
    assert stored == sorted(stored, reverse=True), "each pack that was put is reused"
    assert stored[-1] == 0


@pytest.mark.parametrize("fault", [Fault.FAIL, Fault.DROP_REPLY])
def test_every_put_failing_once(fault, begun, keeper):
    objects, first, old = begun
    new = keeper.data(30, seed=3)
    failed = 0
    for at in range(1, 100):
        inner = MemoryTarget()
        inner.objects = dict(objects)
        target = FaultyTarget(inner, Planned(fault, "put_if_absent", at))
        try:
            done = [(keeper.backup(open_repository(target), new), new)]
        except TargetError:
            done = []
            failed += 1
        left = open_repository(inner)
        assert left.images() == [first, *(image for image, _ in done)]
        again = keeper.backup(left, new)
        whole(keeper, left, [(first, old), *done, (again, new)])
        if target.calls["put_if_absent"] < at:
            break
    assert at > 8
    assert failed > 4


@pytest.mark.parametrize("verb", ["get", "size", "list", "get_range"])
def test_every_other_request_failing_once(verb, begun, keeper):
    objects, first, old = begun
    new = keeper.data(6, seed=3)
    for at in range(1, 100):
        inner = MemoryTarget()
        inner.objects = dict(objects)
        target = FaultyTarget(inner, Planned(Fault.FAIL, verb, at))
        try:
            repository = open_repository(target)
            image = keeper.backup(repository, new)
            assert keeper.restore(repository, image) == new
        except TargetError:
            pass
        whole(keeper, open_repository(inner), [(first, old)])
        if target.calls[verb] < at:
            break
    assert at > 1


def test_a_full_target_ends_the_backup_and_hurts_nothing(begun, keeper):
    objects, first, old = begun
    inner = MemoryTarget()
    inner.objects = dict(objects)
    target = FaultyTarget(inner, Planned(Fault.FAIL, "put_if_absent", 0, key="packs/"))
    with pytest.raises(TargetError):
        keeper.backup(open_repository(target), keeper.data(30, seed=4))
    whole(keeper, open_repository(inner), [(first, old)])


def test_torn_packs_are_never_relied_on(begun, keeper):
    objects, first, old = begun
    new = keeper.data(30, seed=5)
    inner = MemoryTarget()
    inner.objects = dict(objects)
    target = FaultyTarget(inner, Planned(Fault.TEAR, "put_if_absent", 0, key="packs/"))
    with pytest.raises(TargetError):
        keeper.backup(open_repository(target), new)
    left = open_repository(inner)
    image = keeper.backup(left, new)
    assert keeper.restore(left, image) == new
    assert keeper.restore(left, first) == old
    torn = {finding.key for finding in keeper.verify(left).findings}
    assert torn
    assert keeper.verify(left).hurt_images == ()


def test_a_session_that_failed_cannot_commit(begun, keeper):
    objects, first, _ = begun
    inner = MemoryTarget()
    inner.objects = dict(objects)
    target = FaultyTarget(inner, Planned(Fault.FAIL, "put_if_absent", 1, key="packs/"))
    repository = open_repository(target)
    with repository.begin("host") as session:
        with pytest.raises(TargetError):
            keeper.store(repository, session, keeper.data(30, seed=6))
        for _ in range(2):
            with pytest.raises(TargetError):
                session.commit(first)
    assert open_repository(inner).images() == [first]


def test_the_rows_of_many_orphans_go_to_segments_of_bounded_size(begun, keeper, monkeypatch):
    objects, _, _ = begun
    monkeypatch.setattr("holdstill.repository.lanes._SEGMENT_ROWS", 10 * 58)
    left = on({key: whole for key, whole in objects.items() if not key.startswith("index/")})
    image = keeper.backup(left, keeper.data(60, seed=7))
    assert len(image.segments) > 3
    assert all(len(left.target.objects[key]) < 52 + 30 * 58 for key in image.segments)
    assert keeper.verify(left).hurt_images == ()
