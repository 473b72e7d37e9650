"""A still whose space runs out is told of, made larger, or given up in time."""

from __future__ import annotations

import threading

import pytest

from holdstill.errors import HoldstillError, ReadFault
from holdstill.model.extents import Extents
from holdstill.model.image import Audit
from holdstill.model.volume import Consistency, Mode
from holdstill.pipeline import watching
from holdstill.pipeline.watching import WatchedStill
from holdstill.spi.still import Fill, Still
from holdstill_testing.conversations import Agreeing
from holdstill_testing.fakes.memory_volume import MemoryReader, MemoryVolume


class FillingStill(Still):
    """As full as the test says; counts how often it was looked at."""

    mode = Mode.SNAPSHOT
    consistency = Consistency.POINT_IN_TIME

    def __init__(self, used, growing=False):
        self.used = used
        self.size = 100
        self.growing = growing
        self.looks = 0
        self.looked = threading.Condition()
        self.released = False

    def open_reader(self):
        return MemoryReader(MemoryVolume(bytes(1 << 20)))

    def untrue(self):
        return None

    def fill(self):
        with self.looked:
            self.looks += 1
            self.looked.notify_all()
        if self.used is None:
            raise HoldstillError("it cannot be asked")
        return Fill(self.used, self.size)

    def grow(self):
        if self.growing:
            self.size *= 2
        return self.growing

    def audit(self, unused):
        return Audit("the still", len(unused), unused.total)

    def release(self):
        self.released = True

    def looked_at(self, times):
        """Wait until it was looked at so often, and what came of all but the last look was done."""
        with self.looked:
            assert self.looked.wait_for(lambda: self.looks >= times, 60)


@pytest.fixture
def watch(monkeypatch):
    monkeypatch.setattr(watching, "_LOOK", 0.01)
    talk = Agreeing()
    made = []

    def make(still, growth=True):
        made.append(WatchedStill(still, talk, "/volume", growth=growth))
        return made[-1], talk

    yield make
    for each in made:
        each.release()


def warnings(talk):
    return [event.id for event in talk.told if event.name == "warning"]


def test_one_with_room_is_left_alone(watch):
    still = FillingStill(50)
    watched, talk = watch(still)
    still.looked_at(5)

    assert talk.told == []
    assert watched.untrue() is None
    assert watched.peak == 50


def test_it_grows_if_it_may(watch):
    still = FillingStill(80, growing=True)
    _, talk = watch(still)
    still.looked_at(5)

    assert (still.size, warnings(talk)) == (200, [])


@pytest.mark.parametrize(("growing", "growth"), [(True, False), (False, True)], ids=["not allowed", "no more"])
def test_else_it_is_told_once_and_read_on(watch, growing, growth):
    still = FillingStill(80, growing=growing)
    watched, talk = watch(still, growth)
    still.looked_at(6)

    assert (still.size, warnings(talk)) == (100, ["snapshot.nearly-full"])
    with watched.open_reader() as reader:
        reader.read(0, 4096)
    assert watched.untrue() is None


def test_at_the_end_it_is_given_up_and_says_what_was_needed(watch):
    still = FillingStill(50)
    watched, _ = watch(still)
    watched.expected = 1 << 20
    with watched.open_reader() as reader:
        reader.read(0, 1 << 19)
        still.used = 96
        still.looked_at(still.looks + 4)

        assert "about 192 bytes are needed" in watched.untrue()
        with pytest.raises(ReadFault):
            reader.read(0, 1)


def test_but_not_just_before_it_is_done(watch):
    still = FillingStill(50)
    watched, _ = watch(still)
    watched.expected = 1 << 20
    with watched.open_reader() as reader:
        reader.read(0, 1 << 20)
        still.used = 99
        still.looked_at(still.looks + 4)

    assert watched.untrue() is None


def test_that_it_cannot_be_asked_is_no_reason(watch):
    still = FillingStill(50)
    watched, talk = watch(still)
    still.used = None
    still.looked_at(still.looks + 3)

    assert (watched.untrue(), talk.told) == (None, [])


def test_nobody_looks_once_all_was_read(watch):
    still = FillingStill(50)
    watched, _ = watch(still)
    watched.all_was_read()
    looks = still.looks

    watched.release()
    assert (still.looks, still.released) == (looks, True)


def test_the_still_is_asked_for_the_audit_of_a_map(watch):
    watched, _ = watch(FillingStill(None))

    assert watched.audit(Extents.of((0, 4096))) == Audit("the still", 1, 4096)
