"""Every command fails, lies or hangs at any step, others interfere, and the run is killed at any step: nothing of ours
is left, nothing of others is touched, and nothing that is not proven would be committed.
"""

from __future__ import annotations

import contextlib

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdstill.errors import HoldstillError
from holdstill.spi.holds import UndoState
from holdstill.spi.runner import Runner
from holdstill_jfs2 import plugin
from holdstill_jfs2.moved import kernel
from holdstill_jfs2.snapshots.holding import hold
from holdstill_testing.fakes.faulty_calls import Killed
from holdstill_testing.fakes.recorded_holds import RecordedHolds
from holdstill_testing.torture import rounds
from holdstill_testing.unix.host import Fault
from holdstill_testing.unix.jfs2_world import World
from holdstill_testing.unix.runner import SimulatedRunner

#: more steps than any run takes
STEPS = 40
GONE = (UndoState.REMOVED, UndoState.ABSENT)


@attrs.define
class Life:
    """Counts the steps of a run, those of its commands and those of its journal, and ends it at one of them."""

    ends: int
    steps: int = 0

    def before(self):
        self.steps += 1
        if self.steps > self.ends:
            raise Killed

    def after(self):
        """Killed while a command was at work: it was done, and nobody heard."""
        if self.steps == self.ends:
            raise Killed


@attrs.define
class MortalRunner(Runner):
    real: SimulatedRunner
    life: Life
    between: dict = attrs.field(factory=dict)
    """What somebody else does before the n-th command."""
    count: int = 0

    def _run(self, method, *given, **named):
        self.life.before()
        self.count += 1
        self.between.get(self.count, lambda: None)()
        ran = method(*given, **named)
        self.life.after()
        return ran

    def ask(self, argv, *, limit):
        return self._run(self.real.ask, argv, limit=limit)

    def change(self, argv):
        return self._run(self.real.change, argv)


class MortalHolds(RecordedHolds):
    def __init__(self, life):
        super().__init__()
        self.life = life

    def step(self):
        self.life.before()


def imaged(world, holds, runner, internal):
    """What a backup does: hold, read, ask, give back. What would be committed, or None."""
    settings = {"jfs2.extents": "fscntl", "jfs2.snapshot": "internal" if internal else "external"}
    still = hold(world.volume(), world.request(holds, runner=runner, settings=settings))
    try:
        with still.open_reader() as reader:
            data = reader.read(0, reader.size)
            world.fs.write(6, b"\x11" * world.fs.block)
            still.fill()
            still.grow()
            data = data[: reader.size // 2] + reader.read(reader.size // 2, reader.size - reader.size // 2)
        return None if still.untrue() else data
    finally:
        still.release()


def recovered(world, holds):
    """As `recover` does, with nothing going wrong any more: what is still open."""
    world.host.faults = {}
    for line in reversed(holds.open_lines):
        if plugin.undo(line.kind, 1, dict(line.data), SimulatedRunner(world.host)).state in GONE:
            line.open = False
    return holds.open_lines


def is_the_truth(world, data, truth, was):
    size = world.fs.block
    return all(data[at * size : (at + 1) * size] == truth[at * size : (at + 1) * size] for at in was)


@settings(max_examples=rounds(1500), deadline=None)
@given(
    faults=st.dictionaries(st.integers(1, STEPS), st.sampled_from(Fault), max_size=6),
    ends=st.integers(1, STEPS * 2),
    internal=st.booleans(),
    foreign=st.none() | st.integers(1, STEPS),
)
def test_whatever_goes_wrong(faults, ends, internal, foreign):
    world = World(internal=internal)
    truth, was = bytes(world.fs.volume.content), frozenset(world.fs.allocated)
    life = Life(ends)
    holds = MortalHolds(life)
    runner = MortalRunner(SimulatedRunner(world.host), life)
    came = set()

    def somebody():
        before = world.system.everything()
        world.foreign("fslv07", world.fs)
        came.update(world.system.everything() - before)

    if foreign and not internal:
        runner.between[foreign] = somebody
    world.host.faults = faults
    committed = None
    with pytest.MonkeyPatch.context() as patch:
        for name in ("vfs_of", "inode_of", "device_of", "extentinfo"):
            patch.setattr(kernel, name, getattr(world, name))
        with contextlib.suppress(Killed, HoldstillError):
            committed = imaged(world, holds, runner, internal)
    life.ends = 10**9

    if committed is not None:
        assert is_the_truth(world, committed, truth, was)
    left = recovered(world, holds)
    assert world.before <= world.system.everything(), "what others have stays"
    assert came <= world.system.everything()
    if left:  # ours is newer than somebody else's: it goes when that has gone
        assert came
        SimulatedRunner(world.host).change(("snapshot", "-d", "/dev/fslv07"))
        assert recovered(world, holds) == []
        assert world.system.everything() == world.before
    else:
        assert world.system.everything() == world.before | came


@pytest.mark.parametrize("internal", [False, True], ids=["external", "internal"])
def test_killed_at_every_step(made, internal):
    """Before each command and each line of the journal, and behind each of them."""
    world = made(internal=internal)
    for ends in range(1, 200):
        life = Life(ends)
        holds = MortalHolds(life)
        runner = MortalRunner(SimulatedRunner(world.host), life)
        try:
            imaged(world, holds, runner, internal)
        except Killed:
            assert recovered(world, holds) == []
            assert world.system.everything() == world.before
            continue
        assert ends > 15
        assert holds.open_lines == []
        return
    pytest.fail("it still dies at the 200th step")


def test_recovering_twice_and_with_failures_in_between(world):
    """What could not be asked stays in the journal."""
    life = Life(12)
    holds = MortalHolds(life)
    with pytest.raises(Killed):
        imaged(world, holds, MortalRunner(SimulatedRunner(world.host), life), internal=False)
    life.ends = 10**9
    (line,) = holds.open_lines
    for number in range(1, 12):
        world.host.faults = {len(world.host.calls) + number: Fault.FAILS}
        try:
            state = plugin.undo(line.kind, 1, dict(line.data), SimulatedRunner(world.host)).state
        except HoldstillError:
            continue
        if state in GONE:
            break
    world.host.faults = {}
    assert plugin.undo(line.kind, 1, dict(line.data), SimulatedRunner(world.host)).state in GONE
    assert world.system.everything() == world.before


def test_a_line_of_another_release_is_not_guessed_at(world):
    runner = SimulatedRunner(world.host)
    assert plugin.undo("jfs2.snapshot", 2, {}, runner).state is UndoState.UNKNOWN
    assert plugin.undo("lvm2.snapshot", 1, {}, runner) is None
