"""The hold as a state machine: every command may fail, lie, hang, babble, or be where the run is killed."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from holdstill.errors import HoldstillError, LeftHeld
from holdstill.spi.holds import UndoState
from holdstill_testing.fakes.faulty_calls import Killed
from holdstill_testing.torture import full, rounds
from holdstill_testing.unix.host import WRITTEN, Death, Fault
from holdstill_testing.unix.worlds import SYSTEMS

GONE = (UndoState.REMOVED, UndoState.ABSENT)
FAULTS = st.dictionaries(st.integers(1, 30), st.sampled_from([*Fault, *Death]), max_size=4)
METHODS = ["remount", "unmount", "fssnap"]


class Machine(RuleBasedStateMachine):
    def __init__(self, make_scene):
        super().__init__()
        self.make_scene = make_scene
        self.scene = None
        self.still = None

    @initialize(system=st.sampled_from(SYSTEMS))
    def begin(self, system):
        self.scene = self.make_scene(system)

    def new_run(self, faults):
        host = self.scene.host
        host.dead = False
        host.faults = {len(host.calls) + at: fault for at, fault in faults.items()}

    def was_killed(self):
        self.still = None

    @precondition(lambda self: self.still is None and not self.scene.book.open_lines)
    @rule(method=st.sampled_from(METHODS), faults=FAULTS)
    def hold(self, method, faults):
        self.new_run(faults)
        try:
            self.still = self.scene.hold("/home", method)
        except Killed:
            self.was_killed()
        except LeftHeld:
            assert self.scene.book.open_lines
        except HoldstillError:
            assert self.scene.book.open_lines == []
            assert self.scene.looks == self.scene.before
        else:
            assert self.scene.book.open_lines
            assert method == "fssnap" or not self.scene.host.can_write("/home")

    @precondition(lambda self: self.still is not None)
    @rule(busy=st.booleans())
    def read(self, busy):
        """What is read is one instant, or the still says that it is not."""
        if busy and self.scene.host.at("/home"):
            self.scene.host.users["/home"] = {99}
        with contextlib.suppress(Killed), self.still.open_reader() as reader:
            first = reader.read(WRITTEN - 4096, 8192)
            again = reader.read(WRITTEN - 4096, 8192)
            assert first == again or self.still.untrue()

    @precondition(lambda self: self.still is not None)
    @rule()
    def release(self):
        still, self.still = self.still, None
        self.scene.host.users.pop("/home", None)
        try:
            still.release()
        except Killed:
            self.was_killed()
        except LeftHeld:
            assert self.scene.book.open_lines
        else:
            assert self.scene.book.open_lines == []
            assert self.scene.looks == self.scene.before

    @precondition(lambda self: self.still is not None)
    @rule()
    def kill(self):
        self.scene.host.dead = True
        self.was_killed()

    @precondition(lambda self: self.still is None and self.scene.book.open_lines)
    @rule(faults=FAULTS)
    def recover(self, faults):
        self.new_run(faults)
        with contextlib.suppress(Killed):
            for line in self.scene.book.open_lines:
                if self.scene.undo(line).state in GONE:
                    line.drop()
                    assert self.scene.looks[:3] == self.scene.before[:3]

    def teardown(self):
        if self.scene is None:
            return
        if self.still is not None:
            self.kill()
        self.scene.host.users.pop("/home", None)
        self.new_run({})
        for line in self.scene.book.open_lines:
            undone = self.scene.undo(line)
            assert undone.state in GONE, undone
        assert self.scene.looks == self.scene.before
        for line in self.scene.book.lines:
            assert self.scene.undo(line).state is UndoState.ABSENT
            assert self.scene.looks == self.scene.before


@pytest.mark.torture
def test_whatever_fails_or_is_killed_the_host_ends_as_it_began(make_scene):
    run_state_machine_as_test(
        lambda: Machine(make_scene),
        settings=settings(
            max_examples=rounds(2_000),
            stateful_step_count=8,
            deadline=None,
            derandomize=not full(),
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
