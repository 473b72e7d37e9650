"""What a prune meets of damage, lies and wrong clocks: the last good copy stays whatever it meets."""

from __future__ import annotations

import datetime as dt

import attrs
import pytest

from holdstill.errors import Damaged, ImageMissing, ImageProtected
from holdstill.model.requests import PruneRequest
from holdstill.model.retention import Retention
from holdstill.repository import layout
from holdstill.repository.checks import Checks
from holdstill.repository.layout import BlobKind
from holdstill.repository.loading import unheard
from holdstill.repository.prune import Prune
from holdstill.repository.repository import Repository
from holdstill.repository.upkeep import prune
from holdstill.repository.verify import verify
from holdstill.spi.conversation import Conversation
from holdstill_testing.fakes.memory_target import PROPERTIES, MemoryTarget
from holdstill_testing.tiny import back_up, content, restored, store, tiny_config

NOW = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)


class Yes(Conversation):
    def ask(self, question):
        return "yes"


def pruned(repository, **settings):
    return prune(repository, PruneRequest(**settings), Yes(), NOW)


def tiny(**properties):
    target = MemoryTarget(properties=attrs.evolve(PROPERTIES, **properties))
    return target, Repository(target, tiny_config(target))


def looked_at(repository, *, read_data=True, keep=False):
    return verify(repository, None, read_data=read_data, tell=lambda _: None, cancelled=lambda: False, keep=keep)


def flip(target, key, at):
    whole = bytearray(target.objects[key])
    whole[at] ^= 1
    target.objects[key] = bytes(whole)


def two_at_once(repository, letters):
    """Two images that share nothing though they hold the same: each writer began before the other had stored it."""
    with repository.begin("one") as one, repository.begin("two") as two:
        return one.commit(store(repository, one, letters)), two.commit(store(repository, two, letters))


# --- an image that the ledger does not know ----------------------------------------------------------


@pytest.mark.parametrize("exclusive", [True, False])
def test_an_image_whose_writer_the_ledger_has_lost_stops_it(exclusive):
    target, repository = tiny(put_if_absent=exclusive)
    first = back_up(repository, "abcdef")
    second = back_up(repository, "abcdef")
    repository.forget(first)
    del target.objects[layout.ledger_key(second.number)]  # the last entry: there is no gap to see
    before = dict(target.objects)

    with pytest.raises(Damaged, match="no entry"):
        pruned(repository)

    assert target.objects == before
    assert restored(repository, second) == content("abcdef")
    assert [finding.key for finding in looked_at(repository).findings] == [layout.ledger_key(second.number)]


def test_an_image_whose_number_was_given_out_again_stops_it():
    target, repository = tiny()
    first = back_up(repository, "abcdef")
    second = back_up(repository, "abcdef")
    repository.forget(first)
    del target.objects[layout.ledger_key(second.number)]
    with repository.begin("host") as again:
        assert again.number == second.number
    with pytest.raises(Damaged):
        pruned(repository)
    assert restored(repository, second) == content("abcdef")
    key = layout.commit_key(second.number, second.id)
    assert [finding.key for finding in looked_at(repository).findings] == [key]
    repository.forget(second)
    assert pruned(repository).deleted_packs > 0, "once it is given up, it stops nothing"


# --- damage that the prune itself meets --------------------------------------------------------------


@pytest.mark.parametrize("kind", [BlobKind.PAGE, BlobKind.MAP, BlobKind.CHUNK])
def test_a_copy_that_was_found_damaged_counts_for_nothing(kind):
    target, repository = tiny()
    first, second = two_at_once(repository, "abcdef")
    chunk = repository.ids.chunk(content("a"))
    blob = {BlobKind.PAGE: first.chunks.root, BlobKind.MAP: first.map.root, BlobKind.CHUNK: chunk}[kind]
    [read] = repository.blobs().plan(kind, [blob])
    flip(target, read.key, read.offset)
    if kind is not BlobKind.PAGE:  # pages are read by every prune
        looked_at(repository, keep=True)
    told = [warning for _ in range(2) for warning in pruned(repository, repack_below=1.0).warnings]
    assert any(read.key in warning for warning in told) == (kind is BlobKind.PAGE)
    assert restored(repository, first) == restored(repository, second) == content("abcdef")


# --- what verifications said -------------------------------------------------------------------------


def test_a_look_that_read_nothing_takes_no_damage_back():
    target, repository = tiny()
    image = back_up(repository, "abcdef")
    [read] = repository.blobs().plan(BlobKind.CHUNK, [repository.ids.chunk(content("a"))])
    flip(target, read.key, read.offset)
    for read_data in (True, False):
        looked_at(repository, read_data=read_data, keep=True)
        assert Checks(repository).hurt() == {image.id}
    pruned(repository)
    assert Checks(repository).hurt() == {image.id}, "nor does tidying"


# --- wrong clocks ------------------------------------------------------------------------------------


def test_an_image_that_was_stored_last_stays_though_its_clock_was_set_back():
    _, repository = tiny()
    images = []
    for year in (2026, 2026, 1970):
        with repository.begin("host") as session:
            made = store(repository, session, "abc")
            images.append(session.commit(attrs.evolve(made, taken=f"{year}-01-01T00:00:00Z")))
    pruned(repository, retention=Retention(last=1))
    assert images[-1].id in {image.id for image in repository.images()}


def test_what_was_kept_must_still_be_there_when_the_question_is_answered():
    _, repository = tiny()
    older, newest = back_up(repository, "abc"), back_up(repository, "abc")

    class DeletedMeanwhile(Conversation):
        def ask(self, question):
            repository.forget(newest)
            return "yes"

    with pytest.raises(ImageMissing, match="deleted meanwhile"):
        prune(repository, PruneRequest(retention=Retention(last=1)), DeletedMeanwhile(), NOW)
    assert [image.id for image in repository.images()] == [older.id]


# --- marks -------------------------------------------------------------------------------------------


def test_a_protected_image_whose_first_mark_is_lost_is_not_deleted():
    target, repository = tiny()
    image = back_up(repository, "abc")
    for _ in range(2):
        repository.marks.protect(image)
        repository.marks.unprotect(image)
    repository.marks.protect(image)
    del target.objects[layout.mark_key(image.number, image.id, 1)]
    with pytest.raises((Damaged, ImageProtected)):
        repository.forget(image)
    assert [each.id for each in repository.images()] == [image.id]


# --- listings ----------------------------------------------------------------------------------------


class Late(MemoryTarget):
    """Shares another's objects; its listings lack some of them until they are shown."""

    def __init__(self, other, hidden):
        super().__init__()
        self.objects, self.hidden = other.objects, hidden

    def list(self, prefix):
        return (listed for listed in super().list(prefix) if listed.key not in self.hidden)


def test_a_pack_that_is_learned_of_too_late_stays(monkeypatch):
    """Its rows come up while copies are looked for, when what it holds has been asked for already."""
    target, repository = tiny()
    third = back_up(repository, "mnopqr")
    first, second = back_up(repository, "abcdefghi"), back_up(repository, "abcxyzm")
    [read] = repository.blobs().plan(BlobKind.CHUNK, [repository.ids.chunk(content("a"))])
    [page] = repository.blobs().plan(BlobKind.PAGE, [second.chunks.root])
    repository.ledger().append_condemn([read.key])  # and it was spared, as it is needed
    repository.forget(third)
    for segment in first.segments:
        flip(target, segment, 40)
    late = Late(target, {read.key})
    seen = Repository(late, repository.config)
    work = Prune(seen, lambda _: None, lambda: False, 1.0)
    choice = work.choose()
    needed, looks = work.standing.needed, []

    def needed_and_learned():
        looks.append(1)
        for kind, ids in needed():
            yield kind, ids
            if len(looks) == 2 and repository.ids.chunk(content("x")) in ids:
                late.hidden = set()
                shelf = work.standing.shelf
                shelf.take_orphans(shelf.listed_packs(), unheard)

    monkeypatch.setattr(type(work.standing), "needed", lambda _: needed_and_learned())
    assert work.run(choice).repack_stored_size > 0
    assert len(looks) == 2
    assert page.key in target.objects
    assert restored(repository, first) == content("abcdefghi")
    assert restored(repository, second) == content("abcxyzm")
