"""Object lock against moto: a repository of which nothing can be deleted for a while, and one that cannot have that."""

import datetime as dt
from functools import partial

import pytest

from holdstill.errors import TargetDenied, TargetLocked, TargetUnfit, UsageError
from holdstill.model.requests import PruneRequest
from holdstill.repository.locks import Renewal
from holdstill.repository.opening import create, open_repository
from holdstill.repository.upkeep import prune
from holdstill_storage import s3_locks
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


@pytest.mark.parametrize("password", [None, b"a password"])
def test_nothing_that_an_image_needs_can_be_deleted(target, password):
    repository = create(target, lock_for=30 * DAY, password=password)
    image = back_up(repository, "abcdefgh")
    for row in list(target.list("")):
        needed = row.key.startswith(("config", "ledger/", "packs/", "images/"))
        if needed:
            assert abs(target.locked_until(row.key) - now() - 30 * DAY) < dt.timedelta(minutes=5)
            with pytest.raises(TargetLocked, match="it is locked until 20") as told:
                target.delete(row.key)
            assert told.value.until == target.locked_until(row.key)
        assert needed or row.key.startswith(("index/", "keys/", "probe/"))
    assert restored(open_repository(target, lambda: password), image)


def test_a_prune_leaves_what_is_locked_and_says_until_when(target):
    repository = create(target, lock_for=30 * DAY)
    image = back_up(repository, "abcdefgh")
    held = packs(repository)
    repository.forget(image)
    result = pruned(repository)
    assert (result.deleted_packs, result.waiting_packs, result.locked_packs) == (0, len(held), len(held))
    until = dt.datetime.fromisoformat(result.locked_until)
    assert until == max(target.locked_until(key) for key in held)
    for key in held:
        target.inner.lock_longer(key, now() - DAY)  # a lock that was shortened; moto lets that happen, nobody else does
    result = pruned(repository)
    assert (result.deleted_packs, result.locked_packs, result.locked_until) == (len(held), 0, None)
    assert packs(repository) == []


def test_what_is_locked_is_copied_once_however_often_one_prunes(target):
    """A mostly empty pack that cannot go yet is not taken apart anew each time, nor is the copy, locked as it is."""
    repository = create(target, lock_for=30 * DAY)
    dropped, image = back_up(repository, "abcdefgh"), back_up(repository, "a")
    repository.forget(dropped)
    first = prune(repository, PruneRequest(repack_below=1.0), Agreeing(), now())
    assert first.repack_stored_size > 0
    there = packs(repository)
    for _ in range(3):
        again = prune(open_repository(target), PruneRequest(repack_below=1.0), Agreeing(), now())
        assert (again.repack_read_size, again.repack_stored_size, again.deleted_packs) == (0, 0, 0)
        assert again.locked_packs == first.locked_packs > 0
        assert packs(repository) == there
    assert restored(open_repository(target), image)


def test_what_was_put_twice_is_deleted_once_and_for_all(target):
    """A put whose reply was lost is sent again: the bucket keeps both versions, and the older must not come back."""
    target.lock_new(30 * DAY, ("packs/",))
    for key in ("images/a", "images/a", "images/a-b"):
        target.put(key, [b"x"])
    target.delete("images/a")
    assert [row.key for row in target.list("")] == ["images/a-b"]
    target.put("packs/a", [b"x"])
    target.put("packs/a", [b"x"])
    with pytest.raises(TargetLocked) as told:
        target.delete("packs/a")
    assert told.value.until == target.locked_until("packs/a")


def test_who_may_not_delete_is_not_told_of_a_lock_that_is_over(target, monkeypatch):
    create(target, lock_for=30 * DAY)
    monkeypatch.setattr(s3_locks, "_now", lambda: now() + 31 * DAY)
    with pytest.raises(TargetDenied):
        target.delete("config")


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
    forgotten = pytest.raises(TargetUnfit, match="does not lock objects")
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
