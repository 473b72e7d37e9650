"""The hold as a state machine: every call to the kernel may fail, hang until the run is killed, or lie. Against any
world of mounts that a test brings.
"""

from __future__ import annotations

import contextlib
import errno

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from holdstill.errors import HoldstillError, LeftHeld
from holdstill.model.choices import StaticMethod
from holdstill.model.volume import Mode
from holdstill.spi.holds import Hold, Holds, UndoState
from holdstill.spi.still import HoldRequest
from holdstill_static_unmount.linux import shape, static, undoing
from holdstill_testing.fakes.faulty_calls import FaultyCalls, Killed, Outcome, PlannedOutcome
from holdstill_testing.fakes.memory_volume import MemoryVolume
from holdstill_testing.torture import full

GONE = (UndoState.REMOVED, UndoState.ABSENT)
CHANGES = ("sync", "flush", "remount", "unmount", "mount", "bind", "set_flags", "propagate")
FAULTS = st.lists(
    st.builds(
        PlannedOutcome,
        st.integers(1, 14),
        st.sampled_from(Outcome),
        st.sampled_from([errno.EIO, errno.EBUSY]),
        st.booleans(),
    ),
    max_size=3,
)
EXTRAS = st.lists(
    st.tuples(
        st.sampled_from(["", "/sub"]),
        st.sampled_from(
            [("private",), ("private", "shared"), ("slave",), ("slave", "shared"), (), ("private", "unbindable")]
        ),
        st.sampled_from(["noatime,nosuid,rw", "nodev,relatime,ro", "noexec,relatime,rw"]),
    ),
    max_size=3,
)


class FaultyKernel(FaultyCalls):
    """A kernel with the faults that were planned; nobody waits for it."""

    def rest(self, seconds):
        if self.dead:
            raise Killed


class Line(Hold):
    def __init__(self, journal, kind, version, data):
        self.journal, self.kind, self.version, self.data = journal, kind, version, data
        self.open = True

    def update(self, **narrower):
        self.data |= narrower

    def drop(self):
        if self.journal.kernel.dead:
            raise Killed
        self.open = False


class Book(Holds):
    """A journal of several runs, each of which can be dead."""

    def __init__(self):
        self.lines = []
        self.kernel = None

    def hold(self, kind, data, *, by_hand, version=1):
        if self.kernel.dead:
            raise Killed
        self.lines.append(Line(self, kind, version, dict(data)))
        return self.lines[-1]

    @property
    def open_lines(self):
        return [line for line in reversed(self.lines) if line.open]


class Handed(MemoryVolume):
    """What a run is given of a volume. Its readers are noted: the kernel closes them when the run dies."""

    def __init__(self, volume, readers):
        super().__init__(b"")
        self.volume, self.facts, self.readers = volume, volume.facts, readers

    def open_reader(self, *, exclusive):
        self.readers.append(self.volume.open_reader(exclusive=exclusive))
        return self.readers[-1]


class Machine(RuleBasedStateMachine):
    def __init__(self, make_world):
        super().__init__()
        self.make_world = make_world
        self.world = None

    @initialize(shared_root=st.booleans(), first=st.sampled_from(["private", "shared"]), extras=EXTRAS)
    def begin(self, shared_root, first, extras):
        self.world = self.make_world(shared_root, [first, *extras])
        self.readers = []
        self.book = Book()
        self.still = None
        known = {mount.path for mount in self.world.volume().facts.mounts}
        self.ours = [row for row in self.world.kernel.rows() if row.path in known]
        self.foreign = self.rest_of_the_table()

    def rest_of_the_table(self):
        known = {row.path for row in self.ours}
        return [row for row in self.world.kernel.rows() if row.path not in known and self.near(row)]

    def near(self, row):
        return row.path.startswith(str(self.world.base))

    @property
    def differences(self):
        found = shape.differences(self.ours, self.world.kernel.rows())
        paths = sorted(row.path for row in self.world.kernel.rows() if row.path in {each.path for each in self.ours})
        if paths != sorted(row.path for row in self.ours):
            found.append(f"mounts at {paths}")
        assert self.rest_of_the_table() == self.foreign, "what is not ours was touched"
        return found

    def new_run(self, faults):
        self.book.kernel = FaultyKernel(self.world.kernel, CHANGES, faults)
        return self.book.kernel

    def bury(self):
        """What the kernel closes for a dead process."""
        for reader in self.readers:
            reader.close()
        self.readers.clear()

    @precondition(lambda self: self.still is None and not self.book.open_lines)
    @rule(method=st.sampled_from(StaticMethod), faults=FAULTS)
    def hold(self, method, faults):
        kernel = self.new_run(faults)
        request = HoldRequest("run", self.book, mode=Mode.STATIC, static_method=method)
        try:
            self.still = static.hold(Handed(self.world.volume(), self.readers), request, kernel)
        except Killed:
            self.bury()
        except LeftHeld:
            assert self.book.open_lines
            self.bury()
        except (HoldstillError, OSError):
            assert self.book.open_lines == []
            assert self.differences == []
        else:
            for row in self.world.kernel.rows():
                assert row.path not in {each.path for each in self.ours} or row.read_only

    @precondition(lambda self: self.still is not None)
    @rule()
    def release(self):
        still, self.still = self.still, None
        try:
            still.release()
        except Killed:
            self.bury()
        except LeftHeld:
            assert self.book.open_lines
        else:
            assert self.book.open_lines == []
            assert self.differences == []

    @precondition(lambda self: self.still is not None)
    @rule(ask=st.booleans())
    def read(self, ask):
        with contextlib.suppress(Killed), self.still.open_reader() as reader:
            reader.read(0, 4096)
            if ask:
                assert self.still.untrue() is None or self.book.kernel.dead

    @precondition(lambda self: self.still is not None)
    @rule()
    def kill(self):
        self.book.kernel.dead = True
        self.still = None
        self.bury()

    @precondition(lambda self: self.still is None and self.book.open_lines)
    @rule(faults=FAULTS)
    def recover(self, faults):
        kernel = self.new_run(faults)
        with contextlib.suppress(Killed):
            for line in self.book.open_lines:
                if undoing.undo(line.kind, line.version, line.data, kernel).state in GONE:
                    line.drop()
                    assert self.differences == []

    def teardown(self):
        if self.world is None:
            return
        try:
            if self.still is not None:
                self.kill()
            healthy = self.world.kernel
            for line in self.book.open_lines:
                undone = undoing.undo(line.kind, line.version, line.data, healthy)
                assert undone.state in GONE, undone
            assert self.differences == []
            for line in self.book.lines:
                before = list(filter(self.near, self.world.kernel.rows()))
                assert undoing.undo(line.kind, line.version, line.data, healthy).state is UndoState.ABSENT
                assert list(filter(self.near, self.world.kernel.rows())) == before
        finally:
            self.world.close()


@pytest.fixture
def drive():
    """Runs the machine against worlds that ``make_world(shared_root, extras)`` makes.

    A world has a ``kernel``, a ``volume()``, the ``base`` below which its mounts are, and ``close()``.
    """

    def run(make_world, examples, steps):
        run_state_machine_as_test(
            lambda: Machine(make_world),
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                derandomize=not full(),
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )

    return run
