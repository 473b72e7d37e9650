"""The protocol without locks: numbers, fences, condemned packs, listings that lie (prune-protocol: W0-W7, readers)."""

from __future__ import annotations

import secrets
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from holdstill.errors import Damaged, Fenced, TargetError
from holdstill.repository import canonical, envelope, layout
from holdstill.repository.layout import ObjectKind
from holdstill.repository.opening import create, open_repository
from holdstill_testing.fakes.faulty_target import Fault, FaultyTarget, Planned
from holdstill_testing.fakes.memory_target import MemoryTarget

CHUNK = 65536


class Unlisted(MemoryTarget):
    """Its listings show nothing under some prefixes."""

    hidden: tuple[str, ...] = ()

    def list(self, prefix):
        return (each for each in super().list(prefix) if not each.key.startswith(self.hidden))


def append(repository, entry, **lists):
    """Append an entry as another process would."""
    ledger = repository.ledger()
    ledger.read()
    key = layout.ledger_key(ledger.end + 1)
    body = canonical.encode({"type": "condemn", "nonce": secrets.token_hex(16), **entry})
    repository.target.put(key, envelope.seal(repository.digests, ObjectKind.LEDGER, key, body))


def packs_of(target, number):
    return [key for key in target.objects if key.startswith(f"packs/{number:010d}/")]


def test_racing_writers_get_numbers_of_their_own(repository):
    barrier = threading.Barrier(8)

    def begin(_):
        barrier.wait()
        with repository.begin("host") as session:
            return session.number, session.nonce

    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(begin, range(8)))
    assert sorted(number for number, _ in got) == list(range(1, 9))
    assert len({nonce for _, nonce in got}) == 8


def test_two_writers_at_once_both_commit(repository, keeper):
    data = keeper.data(20)
    with repository.begin("a") as one, repository.begin("b") as two:
        first = one.commit(keeper.store(repository, one, data))
        second = two.commit(keeper.store(repository, two, data[:-7]))
    assert keeper.restore(repository, first) == data
    assert keeper.restore(repository, second) == data[:-7]
    assert keeper.verify(repository).findings == ()


def test_a_fenced_writer_does_not_commit_and_begins_again(repository, keeper):
    data = keeper.data(9)
    with repository.begin("host") as session:
        image = keeper.store(repository, session, data)
        assert repository.void(session.commit_key, "asleep for a week")
        with pytest.raises(Fenced, match="asleep"):
            session.commit(image)
    assert repository.images() == []
    again = keeper.backup(repository, data)
    assert again.sizes.stored_size < CHUNK, "only rows are written again"
    assert keeper.restore(repository, again) == data


def test_a_committed_number_cannot_be_voided(repository, keeper):
    image = keeper.backup(repository, b"data")
    assert not repository.void(layout.commit_key(image.number, image.id), "too late")
    assert repository.images() == [image]


def test_an_abandoned_number_is_settled(repository):
    with repository.begin("host") as session:
        key = session.commit_key
    assert not repository.void(key, "again")


@pytest.mark.parametrize("fault", [Fault.DROP_REPLY, Fault.FAIL])
@pytest.mark.parametrize("prefix", ["ledger/", "images/"])
def test_a_lost_reply_is_resolved_by_looking(fault, prefix, repository, target, keeper):
    faulty = FaultyTarget(target, Planned(fault, "put_if_absent", 1, key=prefix))
    data = keeper.data(6)
    image = keeper.backup(open_repository(faulty), data)
    assert repository.images() == [image]
    assert image.number == 1
    assert keeper.verify(repository).findings == ()


def test_a_commit_that_stays_undecided_is_an_error(repository, target, keeper):
    faulty = FaultyTarget(target, Planned(Fault.FAIL, "put_if_absent", 0, key="images/"))
    with pytest.raises(TargetError):
        keeper.backup(open_repository(faulty), b"data")
    assert repository.images() == []


@pytest.mark.parametrize("way", ["packs", "numbers", "list"])
def test_condemned_packs_are_read_but_not_reused(way, repository, target, keeper):
    data = keeper.data(9)
    first = keeper.backup(repository, data)
    closed = packs_of(target, first.number)
    lists = {"packs": closed, "numbers": []} if way != "numbers" else {"packs": [], "numbers": [first.number]}
    if way == "list":
        key = f"lists/{secrets.token_hex(16)}"
        body = canonical.encode(lists)
        target.put(key, envelope.seal(repository.digests, ObjectKind.LIST, key, body))
        append(repository, {"list": key})
    else:
        append(repository, {"list": None, **lists})
    assert keeper.restore(repository, first) == data
    second = keeper.backup(repository, data)
    assert second.number == 3
    for key in closed:
        del target.objects[key]
    assert keeper.restore(repository, second) == data
    assert keeper.restore(repository, first) == data, "the rows of closed packs are fallen back from"


def test_with_every_listing_empty_everything_restores(keeper):
    target = Unlisted()
    repository = create(target, chunk_size=CHUNK)
    data = keeper.data(9)
    first, second = keeper.backup(repository, data), keeper.backup(repository, data[:-9])
    repository.forget(first)
    target.hidden = ("",)
    assert repository.images() == []
    assert repository.images(exact=True) == [second]
    assert keeper.restore(repository, second) == data[:-9]
    # A writer that sees nothing stores everything anew, and is right to.
    third = keeper.backup(repository, data)
    assert third.sizes.stored_size >= first.sizes.stored_size
    assert keeper.restore(repository, third) == data


def test_without_any_segment_the_packs_tell(repository, target, keeper):
    data = keeper.data(9)
    image = keeper.backup(repository, data)
    for key in [key for key in target.objects if key.startswith("index/")]:
        del target.objects[key]
    assert keeper.restore(repository, image) == data
    again = keeper.backup(repository, data)
    assert again.sizes.stored_size < CHUNK, "the rows of the orphans are adopted"
    assert again.segments


def test_no_restore_depends_on_a_strangers_segment(repository, target, keeper):
    data = keeper.data(9)
    with repository.begin("dead") as session:
        keeper.store(repository, session, data)
    strangers = [key for key in target.objects if key.startswith("index/")]
    assert strangers
    image = keeper.backup(repository, data)
    for key in strangers:
        del target.objects[key]
    only = MemoryTarget()
    only.objects = dict(target.objects)
    reader = open_repository(only).blobs()
    named = {key for key in only.objects if key.startswith("index/")}
    assert named == set(image.segments)
    only.list = lambda prefix: iter(()) if prefix == "packs/" else MemoryTarget.list(only, prefix)
    assert sum(count for _, count, _ in reader.walk(image.chunks, layout.BlobKind.CHUNK)) == image.chunks.count
    assert keeper.restore(open_repository(only), image) == data


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_nobody_writes_behind_a_hole_in_the_ledger(missing, repository, target, keeper):
    for at in range(3):
        keeper.backup(repository, bytes([at + 1]) * 100)
    del target.objects[layout.ledger_key(missing)]
    with pytest.raises(Damaged) as caught:
        repository.begin("host")
    assert caught.value.subject == layout.ledger_key(missing)


def test_a_twin_that_took_the_same_name_fences_the_writer(repository, target, keeper):
    """A cloned machine writes under the same number: what it put is never overwritten, and this one begins again."""
    with repository.begin("host") as session:
        image = keeper.store(repository, session, b"mine")
        target.put(session.commit_key, [b"the twin's"])
        with pytest.raises(Fenced):
            session.commit(image)
    assert target.objects[session.commit_key] == b"the twin's"


def test_many_threads_learn_the_rows_once(repository, target, keeper):
    data = keeper.data(30)
    image = keeper.backup(repository, data)
    faulty = FaultyTarget(target)
    reader = open_repository(faulty).blobs()
    chunk = keeper.data(1)[:CHUNK]
    barrier = threading.Barrier(4)

    def plan(_):
        barrier.wait()
        return reader.plan(layout.BlobKind.CHUNK, [repository.ids.chunk(chunk)])

    with ThreadPoolExecutor(4) as pool:
        reads = list(pool.map(plan, range(4)))
    assert all(read == reads[0] for read in reads)
    assert faulty.calls["list"] == 1
    assert not any(key.startswith(("ledger/", "images/")) for _, key in faulty.log)
    assert image.chunks.count == 31
