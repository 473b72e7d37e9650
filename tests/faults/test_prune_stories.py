"""The orders of steps that lose an image where a shortcut is taken: each with the shortcut planted, and without.

The names in capitals are those of the table in docs/explanation/concurrency.md.
"""

from __future__ import annotations

import numpy as np
import pytest

from holdstill.pipeline.imagecopy import ImageCopier
from holdstill.repository import commits
from holdstill.repository.ledger import Ledger
from holdstill.repository.marks import Marks
from holdstill.repository.prune import Prune
from holdstill.repository.reuse import Stock
from holdstill.repository.session import WriterSession
from holdstill.repository.standing import Standing
from holdstill_testing.actors import Outcome
from holdstill_testing.clocks import DAY
from holdstill_testing.world import Lost, World


@pytest.fixture
def world():
    world = World()
    yield world
    world.close()


def garbage(world):
    """Packs that nobody needs, and that whoever backs up ``abc`` would gladly reuse."""
    world.finish(world.backup("abc"))
    world.finish(world.delete(0))
    return world.packs(1)


# --- the shortcuts -----------------------------------------------------------------------------------


def no_recheck(patch):
    """The lists are read before BEGIN is visible, and not again."""
    init, close = Stock.__init__, Stock.close

    def early(self, shelf, listed, target, digests):
        init(self, shelf, listed, target, digests)
        self.early = Ledger(target, digests, exclusive=True)
        self.early.read()

    patch.setattr(Stock, "__init__", early)
    patch.setattr(Stock, "close", lambda self, ledger: close(self, self.early))


def early_frontier(patch):
    """Writers are looked for before the list is visible."""
    read = Standing.read_ledger
    patch.setattr(Standing, "read_ledger", lambda self: self.ledger.read() if self.ledger.end else read(self))


def clock(patch):
    """Whoever is silent counts as dead."""
    patch.setattr(Standing, "bound", lambda self: self.ledger.end + 1)


def list_images(patch):
    """Images are those that a listing shows."""
    read = Standing.read_ledger

    def listed(self):
        read(self)
        shown = {each.key.rpartition("-")[2] for each in self.repository.target.list("images/")}
        self.images = {number: image for number, image in self.images.items() if image.id in shown}

    patch.setattr(Standing, "read_ledger", listed)


def counting(patch, closed_for):
    """Copies count that are in packs which ``closed_for`` leaves out."""
    condemn, remembered = Prune._condemn, {}

    def remembering(self, choice):
        own = {self.standing.shelf.index.packs[place].key for place in choice.packs}
        before = set(self.standing.ledger.closed_packs)
        condemn(self, choice)
        remembered[id(self.standing)] = own, before

    def homes(self):
        own, before = remembered[id(self)]
        open_ = [pack.key not in closed_for(own, before) for pack in self.shelf.index.packs]
        return np.array([*open_, False]) & np.array([*(self.size_of(at) >= 0 for at in range(len(open_))), False])

    patch.setattr(Prune, "_condemn", remembering)
    patch.setattr(Standing, "homes", homes)


def count_closed(patch):
    """Copies in packs that others have condemned count."""
    counting(patch, lambda own, before: own)


def view_early(patch):
    """The lists of others are read before the own one is visible."""
    counting(patch, lambda own, before: own | before)


def unnamed(patch):
    """Copies count whose rows only a stranger's segment has."""
    patch.setattr(Standing, "homes", Standing.open_packs)


def forget_deletes(patch):
    """An image is forgotten by deleting its record."""
    patch.setattr(commits, "forget", lambda target, digests, key, record: target.delete(key))


def look_then_delete(patch):
    """Whether an image is protected is looked up, and then it is deleted."""
    patch.setattr(Marks, "drop", lambda self, image: self.protected(image))


def twin_unasked(patch):
    """What a chunk was copied to counts as stored, without a look whether that may be relied on."""
    patch.setattr(
        ImageCopier,
        "_known_names",
        lambda self, first, each: self._twins.names(first, len(each)) if self._twins else {},
    )
    patch.setattr(WriterSession, "need", lambda self, kind, ids: 0)


# --- the stories -------------------------------------------------------------------------------------


def the_list_comes_before_begin(world):
    garbage(world)
    writer = world.backup("abc")
    world.until(writer, "put_if_absent ledger/")
    world.finish(world.prune(0.0, fence=False))
    world.finish(writer)


def begin_comes_before_the_list(world):
    garbage(world)
    pruner = world.prune(0.0, fence=False)
    world.until(pruner, "put_if_absent ledger/")
    writer = world.backup("abc")
    world.until(writer, "put_if_absent images/")
    world.finish(pruner)
    world.finish(writer)


def a_writer_sleeps(world):
    garbage(world)
    writer = world.backup("abc")
    world.until(writer, "put_if_absent images/")
    world.finish(world.prune(0.0, fence=False))
    world.finish(writer)


def a_listing_shows_nothing(world):
    world.finish(world.backup("abc"))
    world.finish(world.prune(0.0, fence=False, lie="empty"))


def two_copies(world):
    one, two = world.backup("abc"), world.backup("abcd")
    world.until(one, "put_if_absent packs/")
    world.until(two, "put_if_absent packs/")
    world.finish(one)
    world.finish(two)


def one_prune_comes_after_the_other(world):
    two_copies(world)
    first, second = world.condemn(*world.packs(1)), world.condemn(*world.packs(2))
    world.until(first, "delete packs/")
    world.finish(second)
    world.finish(first)


def two_prunes_at_once(world):
    two_copies(world)
    first, second = world.condemn(*world.packs(1)), world.condemn(*world.packs(2))
    world.until(first, "put_if_absent ledger/")
    world.until(second, "put_if_absent ledger/")
    world.finish(first)
    world.finish(second)


def the_other_copy_is_a_dead_writers(world):
    dead, living = world.backup("abc"), world.backup("abc")
    world.until(dead, "put_if_absent packs/")
    world.until(living, "put_if_absent packs/")
    world.until(dead, "put_if_absent images/")
    world.step(dead, Outcome.DEATH)
    world.finish(living)
    world.finish(world.prune(0.0, fence=True))
    world.finish(world.condemn(*world.packs(2)))
    world.finish(world.prune(0.0, fence=True))


def a_commit_arrives_late(world):
    writer = world.backup("abc")
    world.until(writer, "put_if_absent images/")
    world.step(writer, Outcome.LATER)
    world.finish(writer)
    world.finish(world.retire(0))
    world.land(0)


def protected_at_the_last_moment(world):
    world.finish(world.backup("abc"))
    deleter = world.delete(0)
    world.until(deleter, "put images/")
    world.finish(world.protect(0))
    world.finish(deleter)


def a_twin_is_condemned(world):
    world.finish(world.copy_in("abc"))
    copier = world.copy_in("abcd")
    world.until(copier, "put_if_absent ledger/")
    world.finish(world.delete(0))
    pruner = world.prune(0.0, fence=True)
    world.until(pruner, "delete packs/")
    world.finish(copier)
    world.finish(pruner)


STORIES = {
    no_recheck: the_list_comes_before_begin,
    early_frontier: begin_comes_before_the_list,
    clock: a_writer_sleeps,
    list_images: a_listing_shows_nothing,
    count_closed: one_prune_comes_after_the_other,
    view_early: two_prunes_at_once,
    unnamed: the_other_copy_is_a_dead_writers,
    forget_deletes: a_commit_arrives_late,
    look_then_delete: protected_at_the_last_moment,
    twin_unasked: a_twin_is_condemned,
}


@pytest.mark.parametrize("shortcut", STORIES, ids=lambda shortcut: shortcut.__name__.upper())
def test_the_shortcut_loses_an_image_and_is_caught(shortcut, world, monkeypatch):
    shortcut(monkeypatch)
    with pytest.raises(Lost):
        STORIES[shortcut](world)


@pytest.mark.parametrize("story", set(STORIES.values()), ids=lambda story: story.__name__)
def test_without_it_nothing_is_lost(story, world):
    story(world)
    world.come_to_rest()


# --- signs of life -----------------------------------------------------------------------------------


def undecided(world):
    """A writer with much to store, which has begun to."""
    writer = world.backup("abcdefghijklmnopqrstuvwxyz", host="one")
    world.until(writer, "put_if_absent packs/")
    return writer


def test_who_is_silent_for_long_is_given_up_comes_back_late_and_begins_again(world):
    writer = undecided(world)
    world.a_week_of_prunes("two", 0)
    assert world.given_up == 1
    world.finish(writer)
    assert writer.result.number > 1
    world.come_to_rest()
    assert [image.id for image in world.images()] == [writer.result.id]


def test_who_gives_signs_of_life_is_waited_for(world):
    writer = undecided(world)
    world.a_week_of_prunes("two", 3)
    assert "pulse/0000000001" in world.target.objects
    assert not writer.ended
    assert world.given_up == 0
    world.finish(writer)
    assert writer.result.number == 1
    assert "pulse/0000000001" not in world.target.objects


def test_a_sign_of_life_that_cannot_be_given_stops_nobody(world):
    writer = undecided(world)
    world.clock.pass_by(DAY)
    world.until(writer, "put pulse/")
    world.step(writer, Outcome.FAILED)
    world.finish(writer)
    assert writer.error is None


def test_a_clock_alone_gives_nobody_up(world):
    writer = undecided(world)
    for days in (400, -400, 400):
        world.finish(world.prune(0.5, fence=False, host="two"))
        world.clock.pass_by(days * DAY)
    assert world.given_up == 0
    world.finish(writer)
    assert writer.result.number == 1
