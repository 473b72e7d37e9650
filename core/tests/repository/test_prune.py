"""Giving back what no image needs: what goes, what stays, what waits, and what it costs."""

from __future__ import annotations

import contextlib
import datetime as dt

import attrs
import numpy as np
import pytest

from holdstill.errors import Damaged, Declined, HoldstillError, ImageMissing, ImageProtected
from holdstill.model.requests import PruneRequest
from holdstill.repository import layout
from holdstill.repository.layout import BlobKind
from holdstill.repository.ledger import Ledger
from holdstill.repository.marks import Mark
from holdstill.repository.opening import create, open_repository
from holdstill.repository.prune import Prune
from holdstill.repository.repository import Repository
from holdstill.repository.upkeep import prune
from holdstill.repository.verify import verify
from holdstill.spi.conversation import Conversation
from holdstill_testing.fakes.faulty_target import Fault, FaultyTarget, Planned
from holdstill_testing.fakes.memory_target import PROPERTIES, MemoryTarget
from holdstill_testing.tiny import back_up, content, restored, tiny_config
from holdstill_testing.torture import full

NOW = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)
CHUNK = 65536


class Yes(Conversation):
    def __init__(self):
        self.asked = []

    def ask(self, question):
        self.asked.append(question)
        return "yes"


def packs(target):
    return {key for key in target.objects if key.startswith("packs/")}


def packs_of_number(target, number):
    return [key for key in packs(target) if layout.split_pack_key(key)[0] == number]


def size(target):
    return sum(len(whole) for key, whole in target.objects.items() if key.startswith("packs/"))


def pruned(repository, **settings):
    return prune(repository, PruneRequest(**settings), Yes(), NOW)


def test_what_is_deleted_comes_back_and_the_rest_stays(repository, target, keeper):
    one, two = keeper.data(12, seed=1), keeper.data(12, seed=2)
    first, second = keeper.backup(repository, one), keeper.backup(repository, two, path="/w")
    alone = MemoryTarget()
    keeper.backup(create(alone, chunk_size=CHUNK), two)
    repository.forget(first)
    before = size(target)

    planned = pruned(repository, dry_run=True)
    assert size(target) == before
    result = pruned(repository)

    assert result.deleted_size == planned.deleted_size > before * 0.4
    assert size(target) <= size(alone) * 1.1
    assert keeper.restore(repository, second) == two
    assert keeper.verify(repository).findings == ()
    assert pruned(repository).deleted_packs == 0


def test_nothing_to_do_writes_nothing_and_asks_nothing(repository, target, keeper):
    keeper.backup(repository, keeper.data(9))
    before, talk = dict(target.objects), Yes()
    prune(repository, PruneRequest(repack_below=1.0), talk, NOW)
    assert target.objects == before
    assert talk.asked == []


def test_nobody_to_answer_changes_nothing(repository, target, keeper):
    repository.forget(keeper.backup(repository, keeper.data(9)))
    before = dict(target.objects)
    with pytest.raises(Declined):
        prune(repository, PruneRequest(), Conversation(), NOW)
    assert target.objects == before


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_pack_that_is_mostly_not_needed_is_taken_apart(share):
    target = MemoryTarget()
    repository = Repository(target, tiny_config(target))
    first = back_up(repository, "abcdef")
    second = back_up(repository, "a")
    repository.forget(first)
    before = size(target)

    result = pruned(repository, repack_below=share)

    assert restored(repository, second) == content("a")
    assert (result.repack_stored_size > 0) == (share > 0)
    assert size(target) < before
    assert result.deleted_packs > 0
    if share == 1.0:
        wanted = MemoryTarget()
        back_up(Repository(wanted, tiny_config(wanted)), "a")
        assert size(target) == pytest.approx(size(wanted), abs=200)


def test_a_writer_that_began_before_is_waited_for(repository, target, keeper):
    data = keeper.data(9)
    first = keeper.backup(repository, data)
    with repository.begin("slow-host") as session:
        image = keeper.store(repository, session, data)
        repository.forget(first)
        result = pruned(repository)
        assert result.deleted_packs == 0
        assert result.waiting_packs > 0
        assert result.waits_for == ("slow-host (backup 2)",)
        second = session.commit(image)
    assert keeper.restore(repository, second) == data
    pruned(repository, repack_below=1.0)
    assert keeper.restore(repository, second) == data
    assert keeper.verify(repository).findings == ()


def test_a_fenced_writer_is_not_waited_for_and_begins_again(repository, target, keeper):
    data = keeper.data(9)
    first = keeper.backup(repository, data)
    with repository.begin("dead-host") as session:
        image = keeper.store(repository, session, data)
        repository.forget(first)
        assert pruned(repository, fence=True).deleted_packs > 0
        with pytest.raises(HoldstillError, match="did not wait"):
            session.commit(image)
    again = keeper.backup(repository, data)
    assert keeper.restore(repository, again) == data


def test_a_dead_writers_packs_go_though_nothing_else_does(repository, target, keeper):
    image = keeper.backup(repository, keeper.data(3))
    dead = repository.begin("dead-host")
    keeper.store(repository, dead, keeper.data(9, seed=4))
    assert packs_of_number(target, dead.number)
    assert pruned(repository).waits_for == ("dead-host (backup 2)",)
    assert packs_of_number(target, dead.number)
    pruned(repository, fence=True)
    assert not packs_of_number(target, dead.number)
    assert keeper.restore(repository, image) == keeper.data(3)


def test_a_page_that_cannot_be_read_stops_it(repository, target, keeper):
    image = keeper.backup(repository, keeper.data(9))
    repository.forget(keeper.backup(repository, keeper.data(9, seed=5)))
    reader = repository.blobs()
    [read] = reader.plan(BlobKind.PAGE, [image.chunks.root])
    whole = bytearray(target.objects[read.key])
    whole[read.offset + 3] ^= 1
    target.objects[read.key] = bytes(whole)
    before = dict(target.objects)
    with pytest.raises(Damaged, match=f"image {image.id[:12]} of /v needs it"):
        pruned(repository)
    assert target.objects == before


def test_a_record_that_cannot_be_read_stops_it(repository, target, keeper):
    image = keeper.backup(repository, keeper.data(9))
    target.objects[layout.commit_key(image.number, image.id)] += b"?"
    before = dict(target.objects)
    with pytest.raises(Damaged):
        pruned(repository)
    assert target.objects == before


def test_a_reader_whose_packs_go_finds_the_copies(keeper):
    target = MemoryTarget()
    repository = Repository(target, tiny_config(target))
    first, second = back_up(repository, "abcdef"), back_up(repository, "ad")
    reader = repository.blobs()
    ids = [repository.ids.chunk(content(letter)) for letter in "ad"]
    reader.plan(BlobKind.CHUNK, ids)
    for _ in range(2):  # each prune moves what the reader knows
        reads = reader.plan(BlobKind.CHUNK, ids)
        with contextlib.suppress(ImageMissing):
            repository.forget(first)
        pruned(repository, repack_below=1.0)
        found = dict(blob for read in reads for blob in reader.fetch(read))
        assert [found[each] for each in ids] == [content("a"), content("d")]
        back_up(repository, "adxyz")
        first = max(repository.images(), key=lambda image: image.number)
    assert restored(repository, second) == content("ad")


def test_a_long_list_is_an_object_of_its_own(repository, target):
    names = {layout.pack_key(1, f"{at:032x}") for at in range(100)}
    ledger = repository.ledger()
    assert ledger.append_condemn(names) == 1
    assert [key for key in target.objects if key.startswith("lists/")]
    other = repository.ledger()
    other.read()
    assert other.closed_packs == names
    assert other.lists[1].packs == names


@pytest.mark.parametrize("fault", [Fault.FAIL, Fault.DROP_REPLY])
def test_a_list_whose_reply_is_lost_is_there_once(fault, repository, target):
    faulty = FaultyTarget(target, Planned(fault, "put_if_absent", 1, key="ledger/"))
    ledger = Ledger(faulty, repository.digests, exclusive=True)
    assert ledger.append_condemn([layout.pack_key(1, "0" * 32)]) == 1
    assert [key for key in target.objects if key.startswith("ledger/")] == [layout.ledger_key(1)]


def test_every_call_may_fail_and_the_next_prune_goes_on(keeper):
    """At every n-th call, each way: nothing that is needed goes, and in the end everything else is gone."""
    at = 0
    while True:
        at += 1 if full() else 3
        for fault in (Fault.FAIL, Fault.DROP_REPLY):
            target = MemoryTarget()
            config = tiny_config(target)
            repository = Repository(target, config)
            kept = back_up(repository, "abcdx")
            repository.forget(back_up(repository, "abefgh"))
            back_up(repository, "ab")
            faulty = FaultyTarget(target, Planned(fault, at=at))
            with contextlib.suppress(HoldstillError):
                pruned(Repository(faulty, config), repack_below=1.0)
            for image in repository.images():
                assert restored(repository, image) == content(image.volume.path), (fault, at)
            pruned(repository, repack_below=1.0, fence=True)
            pruned(repository, repack_below=1.0, fence=True)
            assert restored(repository, kept) == content("abcdx")
            assert pruned(repository, repack_below=1.0, dry_run=True).deleted_packs == 0
        if sum(faulty.calls.values()) < at:
            break


def test_a_single_writer_repository_is_pruned_too(keeper):
    target = MemoryTarget(properties=attrs.evolve(PROPERTIES, put_if_absent=False))
    repository = create(target, chunk_size=CHUNK)
    data = keeper.data(9)
    gone, kept = keeper.backup(repository, keeper.data(9, seed=7)), keeper.backup(repository, data)
    repository.forget(gone)
    assert pruned(repository).deleted_packs > 0
    assert keeper.restore(open_repository(target), kept) == data


def test_segments_of_what_is_gone_are_replaced(repository, target, keeper):
    images = [keeper.backup(repository, keeper.data(3, seed=at)) for at in range(4)]
    for image in images[:3]:
        repository.forget(image)
    pruned(repository)
    there = {key for key in target.objects if key.startswith("index/")}
    assert not there & {segment for image in images[:3] for segment in image.segments}
    assert keeper.verify(repository).findings == ()
    assert keeper.restore(repository, images[3]) == keeper.data(3, seed=3)


# --- protected images --------------------------------------------------------------------------------


def test_a_protected_image_is_not_deleted(repository, keeper):
    image = keeper.backup(repository, b"data")
    repository.marks.protect(image)
    repository.marks.protect(image)
    assert repository.marks.protected(image)
    with pytest.raises(ImageProtected):
        repository.forget(image)
    repository.marks.unprotect(image)
    repository.marks.unprotect(image)
    repository.forget(image)
    assert repository.images() == []


def test_what_is_being_deleted_cannot_be_protected(repository, keeper):
    image = keeper.backup(repository, b"data")
    repository.marks.drop(image)
    with pytest.raises(ImageMissing, match="being deleted"):
        repository.marks.protect(image)


@pytest.mark.parametrize("fault", [Fault.FAIL, Fault.DROP_REPLY])
def test_a_mark_whose_reply_is_lost_is_there_once(fault, repository, target, keeper):
    image = keeper.backup(repository, b"data")
    faulty = open_repository(FaultyTarget(target, Planned(fault, "put_if_absent", 1, key="marks/")))
    faulty.marks.protect(image)
    assert faulty.marks.protected(image)
    assert len([key for key in target.objects if key.startswith("marks/")]) == 1


def test_a_damaged_mark_is_found_and_keeps_the_image(repository, target, keeper):
    image = keeper.backup(repository, b"data")
    repository.marks.protect(image)
    [key] = [key for key in target.objects if key.startswith("marks/")]
    target.objects[key] = target.objects[key].replace(Mark.PROTECT.encode(), b"pro-ect")
    assert [finding.key for finding in keeper.verify(repository).findings] == [key]
    with pytest.raises(Damaged):
        repository.forget(image)


def test_a_mark_that_is_missing_before_others_is_found(repository, target, keeper):
    image = keeper.backup(repository, b"data")
    repository.marks.protect(image)
    repository.marks.unprotect(image)
    first = layout.mark_key(image.number, image.id, 1)
    del target.objects[first]
    assert [finding.key for finding in keeper.verify(repository).findings] == [first]


def test_what_is_copied_is_told_before(repository, target, keeper):
    data = keeper.data(30, seed=3)
    first = keeper.backup(repository, data)
    keeper.backup(repository, data[:CHUNK])
    repository.forget(first)
    talk = Yes()
    result = prune(repository, PruneRequest(), talk, NOW)
    [question] = talk.asked
    assert question.id == "prune.go"
    assert question.facts["copied before"] != "0 B"
    assert result.repack_stored_size > 0
    assert result.repack_read_size <= CHUNK + 4096


def test_a_choice_that_takes_what_is_needed_costs_no_data(repository, target, keeper):
    """Whatever a prune chooses, it deletes nothing whose only copy that would take."""
    data = keeper.data(9)
    image = keeper.backup(repository, data)
    work = Prune(repository, lambda _: None, lambda: False, 0.0)
    choice = attrs.evolve(work.choose(), unneeded=tuple(np.arange(len(work.standing.shelf.index.packs)).tolist()))
    work.run(choice)
    assert keeper.restore(repository, image) == data


def test_many_small_segments_become_one():
    target = MemoryTarget()
    repository = Repository(target, tiny_config(target))
    images = [back_up(repository, f"abc{chr(0x4E00 + at)}") for at in range(70)]
    pruned(repository)
    segments = [key for key in target.objects if key.startswith("index/")]
    assert len(segments) == 1
    assert all(restored(repository, image) == content(image.volume.path) for image in images[::10])
    before = dict(target.objects)
    pruned(repository)
    assert target.objects == before, "and then they are left alone"
    assert back_up(repository, "abc").new_chunks == 0
    assert verify(repository, None, read_data=True, tell=lambda _: None, cancelled=lambda: False).findings == ()
