"""A freeze from lease to lease: as long as it says that it held nobody wrote, and in the end everybody may."""

from __future__ import annotations

import threading

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdstill.errors import HoldstillError, NoProvider, VolumeBusy, VolumeChanged, VolumeUnusable
from holdstill.spi.holds import UndoState
from holdstill.spi.runner import Runner
from holdstill_jfs2 import frozen as freezes
from holdstill_jfs2 import plugin
from holdstill_jfs2.frozen import LEASE, Clock, frozen
from holdstill_testing.fakes.faulty_calls import Killed
from holdstill_testing.fakes.recorded_holds import RecordedHolds
from holdstill_testing.torture import rounds
from holdstill_testing.unix.host import Fault
from holdstill_testing.unix.jfs2_world import PLACE, World
from holdstill_testing.unix.runner import SimulatedRunner


@attrs.define
class HostsClock(Clock):
    """That of the simulated host. ``gaps``: moments in which somebody could write since ``begun``."""

    world: World
    begun: bool = False
    gaps: int = 0

    def now(self):
        return float(self.world.host.clock)

    def sleep(self, seconds):
        for _ in range(int(-(-seconds // 1))):
            self.world.host.pass_time(1)
            self.look()

    def look(self):
        self.gaps += self.begun and self.world.host.can_write(PLACE)


@attrs.define
class SlowRunner(Runner):
    """Each command takes so many seconds before it does anything, and so many afterwards; the last is repeated."""

    clock: HostsClock
    delays: list
    count: int = 0
    dies: int = 0
    """At this command, if any: before it, or behind it if it is negative."""

    def ask(self, argv, *, limit):
        return self.change(argv)

    def change(self, argv):
        before, after = self.delays[min(self.count, len(self.delays) - 1)] if self.delays else (0, 0)
        self.count += 1
        if self.count == self.dies or 0 < abs(self.dies) < self.count:
            raise Killed
        self.clock.sleep(before)
        ran = SimulatedRunner(self.clock.world.host).change(argv)
        self.clock.begun = self.clock.begun or (ran.ok and argv[2].startswith("freeze="))
        self.clock.sleep(after)
        if self.count == -self.dies:
            raise Killed
        return ran


@pytest.fixture
def clock(world):
    return HostsClock(world)


def asked(clock, holds=None, delays=(), dies=0, limit=60.0):
    runner = SlowRunner(clock, list(delays), dies=dies)
    return clock.world.request(holds, runner=runner, limit=limit)


def test_it_is_held_and_let_go(world, clock):
    holds = RecordedHolds()
    freeze = frozen(world.volume(), asked(clock, holds), clock)

    assert not world.host.can_write(PLACE)
    assert [line.by_hand for line in holds.open_lines] == [f"chfs -a freeze=off {PLACE}"]
    for _ in range(8):
        clock.sleep(5)
        assert freeze.ended() is None
    freeze.thaw()

    assert world.host.can_write(PLACE)
    assert clock.gaps == 0
    assert holds.open_lines == []
    assert freeze.ended() == "the freeze is over"
    freeze.thaw()


def test_nobody_waits_longer_than_a_lease_when_we_die(world, clock):
    holds = RecordedHolds()
    freeze = frozen(world.volume(), asked(clock, holds), clock)
    clock.sleep(10)
    assert freeze.ended() is None
    clock.sleep(LEASE - 1)
    assert not world.host.can_write(PLACE)
    clock.sleep(1)
    assert world.host.can_write(PLACE)


def test_a_killed_one_is_over_when_recover_says_so(world, clock, monkeypatch):
    monkeypatch.setattr(freezes, "CLOCK", clock)
    monkeypatch.setattr(freezes.undo, "__defaults__", (clock,))
    holds = RecordedHolds()
    frozen(world.volume(), asked(clock, holds), clock)
    (line,) = holds.open_lines

    undone = plugin.undo(line.kind, 1, line.data, SimulatedRunner(world.host))

    assert undone.state is UndoState.ABSENT
    assert world.host.can_write(PLACE)
    assert not any("off" in word for call in world.host.calls for word in call), "it could thaw somebody else's"


def test_its_limit_is_the_end(world, clock):
    freeze = frozen(world.volume(), asked(clock, limit=30), clock)
    for _ in range(5):
        clock.sleep(5)
        assert freeze.ended() is None
    clock.sleep(5)

    assert "limit of 30 seconds" in freeze.ended()
    assert world.host.can_write(PLACE), "by itself"
    with pytest.raises(VolumeChanged):
        freeze.renew()
    freeze.thaw()


def test_renewed_its_limit_counts_from_now(world, clock):
    freeze = frozen(world.volume(), asked(clock, limit=30), clock)
    for _ in range(4):
        clock.sleep(15)
        freeze.renew()
    assert freeze.ended() is None
    assert clock.gaps == 0
    freeze.thaw()


@pytest.mark.parametrize(("before", "after"), [(LEASE, 0), (LEASE - 5, 5), (0, LEASE)])
def test_a_late_renewal_makes_it_untrue(world, clock, before, after):
    """Although the system may say that all is well: in between writers may have gone on."""
    freeze = frozen(world.volume(), asked(clock, delays=[(0, 0), (before, after)]), clock)

    assert "late" in freeze.ended() or "ended" in freeze.ended()
    assert freeze.ended()
    freeze.thaw()
    assert world.host.can_write(PLACE)


def test_somebody_else_thaws_it(world, clock):
    freeze = frozen(world.volume(), asked(clock), clock)
    SimulatedRunner(world.host).change(("chfs", "-a", "freeze=off", PLACE))

    assert "not frozen" in freeze.ended()
    freeze.thaw()


def test_what_somebody_else_froze_stays_frozen(world, clock):
    SimulatedRunner(world.host).change(("chfs", "-a", "freeze=300", PLACE))
    until = world.host.locked[PLACE]
    holds = RecordedHolds()

    with pytest.raises(VolumeUnusable, match="cannot be frozen"):
        frozen(world.volume(), asked(clock, holds), clock)

    assert world.host.locked[PLACE] == until
    assert holds.open_lines == []


def test_a_freeze_that_takes_too_long_is_none(world, clock):
    holds = RecordedHolds()
    with pytest.raises(VolumeBusy):
        frozen(world.volume(), asked(clock, holds, delays=[(0, LEASE + 1)]), clock)
    assert world.host.can_write(PLACE)
    assert holds.open_lines == []


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("number", [1, 2])
def test_a_command_that_fails_or_lies(world, clock, fault, number):
    world.host.faults = {number: fault}
    holds = RecordedHolds()
    try:
        freeze = frozen(world.volume(), asked(clock, holds), clock)
        freeze.thaw()
    except HoldstillError:
        assert number == 1
    assert world.host.can_write(PLACE)
    assert holds.open_lines == []


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_command_that_cannot_even_be_started(world, clock, monkeypatch, number):
    """No room for what it prints."""
    holds = RecordedHolds()
    request = asked(clock, holds)
    real = type(request.runner).change

    def change(self, argv):
        if self.count + 1 == number:
            self.count += 1
            raise OSError("no space left")
        return real(self, argv)

    monkeypatch.setattr(SlowRunner, "change", change)
    try:
        freeze = frozen(world.volume(), request, clock)
        assert bool(freeze.ended()) is (number == 2)
        freeze.thaw()
    except VolumeUnusable:
        assert number == 1
    assert world.host.can_write(PLACE)
    assert holds.open_lines == []


def test_its_thread_renews_it(world, monkeypatch):
    """Unasked, again and again, until it is over."""
    monkeypatch.setattr(freezes, "_RENEW", 0.001)
    renewed = threading.Semaphore(0)

    class Telling(SimulatedRunner):
        def change(self, argv):
            ran = super().change(argv)
            if argv[2].startswith("refreeze="):
                renewed.release()
            return ran

    freeze = freezes.hold(world.volume(), world.request(limit=60.0, runner=Telling(world.host)))
    for _ in range(3):
        assert renewed.acquire(timeout=60)
    assert not world.host.can_write(PLACE)
    freeze.thaw()

    assert world.host.can_write(PLACE)
    assert world.host.calls[-1] == ("chfs", "-a", "freeze=off", PLACE)


def test_what_is_not_mounted_is_not_frozen(world, clock):
    world.host.mounted.clear()
    with pytest.raises(NoProvider):
        frozen(world.volume(), asked(clock), clock)


DELAYS = st.lists(st.tuples(st.integers(0, LEASE + 3), st.integers(0, LEASE + 3)), max_size=6)
STEPS = st.lists(st.one_of(st.integers(1, LEASE + 3), st.just("ask"), st.just("thawed")), max_size=12)


@settings(max_examples=rounds(1500), deadline=None)
@given(
    delays=DELAYS,
    steps=STEPS,
    faults=st.dictionaries(st.integers(1, 8), st.sampled_from(Fault), max_size=3),
    dies=st.integers(-8, 8),
    limit=st.integers(1, 70),
    foreign=st.booleans(),
)
def test_whatever_goes_wrong(delays, steps, faults, dies, limit, foreign):
    world = World()
    clock = HostsClock(world)
    runner = SimulatedRunner(world.host)
    until = 0
    if foreign:
        runner.change(("chfs", "-a", "freeze=25", PLACE))
        until = world.host.locked[PLACE]
    world.host.faults = {number + foreign: fault for number, fault in faults.items()}
    holds = RecordedHolds()
    try:
        freeze = frozen(world.volume(), asked(clock, holds, delays, dies, limit), clock)
        clock.begun = True
        clock.look()
        for step in steps:
            if step == "ask":
                freeze.ended()
            elif step == "thawed":
                world.host.locked.pop(PLACE, None)
                clock.look()
            else:
                clock.sleep(step)
        if freeze.ended() is None:
            assert clock.gaps == 0
        clock.begun = False
        freeze.thaw()
        assert holds.open_lines == []
    except HoldstillError:
        assert holds.open_lines == []
    except Killed:
        for line in holds.open_lines:
            assert freezes.undo(line.data, clock).state is UndoState.ABSENT
    now = world.host.clock
    if foreign and now < until and "thawed" not in steps:
        assert world.host.locked.get(PLACE) == until, "it is not ours"
    elif not foreign or now >= until:
        assert world.host.can_write(PLACE), "nobody waits any more"
