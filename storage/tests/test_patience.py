"""Asking again: by a clock that does not wait; and what was done although nobody was told."""

import itertools
import threading

import attrs
import pytest

from holdstill.errors import ObjectMissing, TargetDenied, TargetError
from holdstill_storage.limited import Limited
from holdstill_storage.patience import Patience
from holdstill_storage.persistent import Persistent
from holdstill_testing.fakes.faulty_target import Fault, FaultyTarget, Planned
from holdstill_testing.fakes.memory_target import MemoryTarget


@attrs.define
class Clock:
    now: float = 1000.0
    slept: list[float] = attrs.field(factory=list)

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds

    def patience(self, dice=lambda: 1.0, **more):
        return Patience(clock=lambda: self.now, sleep=self.sleep, dice=dice, **more)


@pytest.fixture
def clock():
    return Clock()


def failing(times, error):
    left = itertools.count(times, -1)

    def call():
        if next(left) > 0:
            raise error
        return "done"

    return call


def passing():
    return TargetError("a moment", retryable=True)


def test_what_may_pass_is_asked_again_after_waits_that_grow_to_a_bound(clock):
    assert clock.patience(first=1, longest=5).persist(failing(5, passing())) == "done"
    assert clock.slept == [1, 2, 4, 5, 5]


def test_waits_are_random_so_that_hosts_do_not_come_back_together(clock):
    rolls = iter([0.5, 0.0, 0.25])
    clock.patience(dice=lambda: next(rolls), first=1).persist(failing(3, passing()))
    assert clock.slept == [0.5, 0.0, 1.0]


def test_nobody_is_asked_for_ever(clock):
    with pytest.raises(TargetError, match=r"a moment \(tried 10 times in 95 s\)") as told:
        clock.patience(first=1, longest=16, deadline=100).persist(failing(1000, passing()))
    assert told.value.is_retryable
    assert told.value.__cause__ is None


def test_what_does_not_pass_is_told_at_once(clock):
    for error in (TargetDenied("no"), TargetError("broken"), ObjectMissing("none")):
        with pytest.raises(type(error)) as told:
            clock.patience().persist(failing(1, error))
        assert told.value.message in {"no", "broken", "none"}
    assert clock.slept == []


def test_a_large_transfer_has_more_time():
    patience = Patience(limit=10)
    assert patience.limit_for(0) == 10
    assert patience.limit_for(64 << 20) > 600


# --- lost replies -------------------------------------------------------------------------------


@pytest.fixture
def memory():
    return MemoryTarget()


def unlucky(clock, memory, *planned):
    return Persistent(FaultyTarget(memory, *planned), clock.patience())


def test_a_create_whose_reply_was_lost_is_ours(clock, memory):
    target = unlucky(clock, memory, Planned(Fault.DROP_REPLY, "put_if_absent", 1))
    assert target.put_if_absent("a", [b"mi", b"ne"]) is True
    assert memory.objects == {"a": b"mine"}
    assert target.put_if_absent("a", [b"mine"]) is False, "nothing was in doubt this time"


def test_a_create_that_somebody_else_won_while_we_were_in_doubt_is_not_ours(clock, memory):
    target = unlucky(clock, memory, Planned(Fault.FAIL, "put_if_absent", 1))
    memory.put("a", [b"theirs"])
    assert target.put_if_absent("a", [b"mine"]) is False
    assert memory.objects == {"a": b"theirs"}


def test_looking_whose_it_is_may_fail_too(clock, memory):
    target = unlucky(clock, memory, Planned(Fault.DROP_REPLY, "put_if_absent", 1), Planned(Fault.FAIL, "get", 1))
    assert target.put_if_absent("a", [b"mine"]) is True


def test_what_went_while_we_were_in_doubt_is_not_ours(clock, memory):
    class Vanishing(FaultyTarget):
        def get(self, key):
            memory.objects.clear()
            return super().get(key)

    target = Persistent(Vanishing(memory, Planned(Fault.DROP_REPLY, "put_if_absent", 1)), clock.patience())
    assert target.put_if_absent("a", [b"mine"]) is False


@pytest.mark.parametrize("verb", ["put", "get", "get_range", "size", "delete"])
@pytest.mark.parametrize("fault", [Fault.FAIL, Fault.DROP_REPLY])
def test_every_other_verb_is_simply_done_again(clock, memory, verb, fault):
    memory.put("a", [b"0123456789"])
    target = unlucky(clock, memory, Planned(fault, verb, 1), Planned(fault, verb, 2))
    calls = {
        "put": lambda: target.put("a", [b"new"]),
        "get": lambda: target.get("a"),
        "get_range": lambda: target.get_range("a", 2, 3),
        "size": lambda: target.size("a"),
        "delete": lambda: target.delete("a"),
    }
    due = {"get": b"0123456789", "get_range": b"234", "size": 10}
    assert calls[verb]() == due.get(verb)
    assert memory.objects == {"put": {"a": b"new"}, "delete": {}}.get(verb, {"a": b"0123456789"})
    assert len(clock.slept) == 2


# --- calls that do not come back ----------------------------------------------------------------


@pytest.mark.parametrize("verb", ["put", "put_if_absent", "get", "get_range", "size", "delete", "list"])
def test_a_call_that_hangs_fails_in_time_and_is_made_again(clock, memory, verb):
    memory.put("folder/a", [b"0123456789"])
    faulty = FaultyTarget(memory, Planned(Fault.HANG, verb, 1))
    patience = clock.patience(limit=0.1)
    limited = Limited(faulty, patience)
    target = Persistent(limited, patience)
    try:
        calls = {
            "put": lambda: target.put("folder/b", [b"new"]),
            "put_if_absent": lambda: target.put_if_absent("folder/b", [b"new"]),
            "get": lambda: target.get("folder/a"),
            "get_range": lambda: target.get_range("folder/a", 2, 3),
            "size": lambda: target.size("folder/a"),
            "delete": lambda: target.delete("folder/a"),
            "list": lambda: [row.key for row in target.list("folder/")],
        }
        due = {"put_if_absent": True, "get": b"0123456789", "get_range": b"234", "size": 10, "list": ["folder/a"]}
        faulty.properties = attrs.evolve(faulty.properties, largest=0)
        limited.properties = faulty.properties
        assert calls[verb]() == due.get(verb)
        assert faulty.hanging.is_set()
        assert len(clock.slept) == 1
    finally:
        faulty.release.set()
        for thread in threading.enumerate():
            if thread.name == "holdstill-target":
                thread.join()
