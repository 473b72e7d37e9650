"""Object lock against moto: a repository of which nothing can be deleted for a while, and one that cannot have that."""

import datetime as dt
import time
from functools import partial

import pytest

from holdstill.errors import TargetLocked, TargetUnfit, UsageError
from holdstill.model.requests import PruneRequest
from holdstill.repository.locks import Renewal
from holdstill.repository.opening import create, open_repository
from holdstill.repository.upkeep import prune
from holdstill_storage.plugin import storage_target
from holdstill_testing.conversations import Agreeing
from holdstill_testing.tiny import back_up, restored

DAY = dt.timedelta(days=1)


@pytest.fixture(scope="module")
def bucket(moto_server):
    return moto_server.bucket(locks=True)


@pytest.fixture
def target(bucket, request):
    with storage_target(bucket.replace("?", f"/{request.node.name.replace('_', '-')}?")) as target:
        yield target


def now():
    return dt.datetime.now(dt.UTC)


def packs(repository):
    return [row.key for row in repository.target.list("packs/")]


def pruned(repository):
    return prune(repository, PruneRequest(), Agreeing(), now())


def test_nothing_that_an_image_needs_can_be_deleted(target):
    repository = create(target, lock_for=30 * DAY)
    image = back_up(repository, "abcdefgh")
    for row in list(target.list("")):
        needed = row.key.startswith(("config", "ledger/", "packs/", "images/"))
        if needed:
            assert abs(target.locked_until(row.key) - now() - 30 * DAY) < dt.timedelta(minutes=5)
            with pytest.raises(TargetLocked, match="it is locked until 20") as told:
                target.delete(row.key)
            assert told.value.until == target.locked_until(row.key)
        assert needed or row.key.startswith(("index/", "probe/"))
    assert restored(open_repository(target), image)


def test_a_prune_leaves_what_is_locked_and_says_until_when(target):
    repository = create(target, lock_for=dt.timedelta(seconds=6))
    image = back_up(repository, "abcdefgh")
    held = packs(repository)
    repository.forget(image)
    result = pruned(repository)
    assert (result.deleted_packs, result.waiting_packs, result.locked_packs) == (0, len(held), len(held))
    until = dt.datetime.fromisoformat(result.locked_until)
    assert until == max(target.locked_until(key) for key in held)
    while now() < until:
        time.sleep(0.2)
    result = pruned(repository)
    assert (result.deleted_packs, result.locked_packs, result.locked_until) == (len(held), 0, None)
    assert packs(repository) == []


def test_what_is_reused_is_locked_again_when_less_than_half_is_left_and_once(target, monkeypatch):
    repository = create(target, lock_for=30 * DAY)
    back_up(repository, "abcdefgh")
    old = packs(repository)
    first = {key: target.locked_until(key) for key in (*old, "config", "ledger/0000000001")}

    def later(days, letters):
        clock = partial(Renewal, now=lambda: now() + days * DAY)
        monkeypatch.setattr("holdstill.repository.repository.Renewal", clock)
        return back_up(repository, letters).notes[-1]

    assert later(14, "abcdefgh") == f"object locks: {len(old) + 1} asked for, 0 extended ({len(old) + 1} requests)"
    assert {key: target.locked_until(key) for key in first} == first
    note = later(16, "abcdefgh")
    assert "0 extended" not in note
    for key, until in first.items():
        assert target.locked_until(key) - until > 15 * DAY
    # Ledger and packs have half left again, but for what a younger image alone relies on.
    second = {key: target.locked_until(key) for key in first}
    later(17, "abcdefgh")
    assert {key: target.locked_until(key) for key in first} == second


def test_a_bucket_without_locks_is_refused(moto_server):
    with storage_target(moto_server.bucket()) as target:
        with pytest.raises(TargetUnfit, match="does not lock objects") as told:
            create(target, lock_for=30 * DAY)
        assert "object lock" in told.value.next_step
        assert "config" not in {row.key for row in target.list("")}


def test_a_service_that_forgets_locks_is_refused(rclone_server):
    forgotten = pytest.raises(TargetUnfit, match="an object that was locked could be deleted")
    with storage_target(rclone_server.bucket()) as target, forgotten:
        create(target, lock_for=30 * DAY)


def test_targets_that_have_no_locks_are_refused(tmp_path):
    with storage_target(str(tmp_path / "repository")) as target, pytest.raises(TargetUnfit, match="cannot be locked"):
        create(target, lock_for=30 * DAY)


@pytest.mark.parametrize("span", [dt.timedelta(0), dt.timedelta(days=36_501)])
def test_spans_that_nobody_means_are_refused(tmp_path, span):
    with storage_target(str(tmp_path / "repository")) as target, pytest.raises(UsageError, match="one second"):
        create(target, lock_for=span)
    assert not (tmp_path / "repository").exists()
