"""The pace on a clock of its own: nothing here waits."""

from __future__ import annotations

import threading

import pytest

from holdstill.errors import Cancelled
from holdstill.pipeline import pace
from holdstill.pipeline.pace import Pace
from holdstill.spi.conversation import Conversation


@pytest.fixture
def clock(monkeypatch):
    """Time goes on only while somebody sleeps."""

    class Clock:
        now = 100.0
        lock = threading.Lock()

        def monotonic(self):
            return self.now

        def sleep(self, seconds):
            assert seconds <= 0.2
            with self.lock:
                self.now += seconds

    clock = Clock()
    monkeypatch.setattr(pace, "time", clock)
    return clock


def test_so_many_bytes_take_so_long(clock):
    given = Pace(1000, Conversation())
    for _ in range(11):
        given.take(500)
    assert clock.now == pytest.approx(105.0)


def test_what_was_not_used_is_not_saved_up(clock):
    given = Pace(1000, Conversation())
    given.take(100)
    clock.now += 3600
    before = clock.now
    for _ in range(11):
        given.take(1000)
    assert clock.now - before == pytest.approx(10.0)


def test_no_limit_is_no_wait(clock):
    given = Pace(0, Conversation())
    given.take(1 << 40)
    assert clock.now == 100.0


def test_who_waits_hears_a_cancel(clock):
    class Impatient(Conversation):
        def cancelled(self):
            return clock.now > 101

    given = Pace(1, Impatient())
    given.take(1000)
    with pytest.raises(Cancelled):
        given.take(1)
    assert clock.now < 101.5
