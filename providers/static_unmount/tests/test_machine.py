"""The hold as a state machine: every call to the kernel may fail, hang until the run is killed, or lie. Against a
simulated mount table, and against real loop mounts.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import subprocess
import tempfile
from pathlib import Path

import attrs
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from holdstill.errors import HoldstillError, LeftHeld
from holdstill.model.choices import StaticMethod
from holdstill.model.volume import Mode, Mount, VolumeKind
from holdstill.spi.holds import Hold, Holds, UndoState
from holdstill.spi.still import HoldRequest
from holdstill_platforms.linux.identify import identify
from holdstill_static_unmount.linux import busy, shape, static, table, undoing
from holdstill_static_unmount.linux.kernel import Kernel
from holdstill_static_unmount.linux.table import Row
from holdstill_testing.fakes.memory_volume import MemoryVolume
from holdstill_testing.torture import full, rounds

GONE = (UndoState.REMOVED, UndoState.ABSENT)
CHANGES = ("sync", "flush", "remount", "unmount", "mount", "bind", "set_flags", "propagate")


class Killed(BaseException):
    """The run is dead: nothing that it does has an effect any more."""


@attrs.frozen
class Fault:
    at: int
    kind: str  # fails, fails-afterwards, lies, killed-before, killed-after
    number: int = errno.EIO
    stays: bool = False  # so does every later call


class Faulty(Kernel):
    """The kernel behind it, but for the faults that were planned, by the number of the call."""

    def __init__(self, real: Kernel, faults: list[Fault]) -> None:
        self.real = real
        self.faults = {fault.at: fault for fault in faults}
        self.calls = 0
        self.dead = False

    def __getattribute__(self, name):
        if name in ("real", "faults", "calls", "dead", "_changed", "_die", "rest") or name.startswith("__"):
            return super().__getattribute__(name)
        real = getattr(self.real, name)
        if name not in CHANGES:
            return real if not self.dead else self._die
        return lambda *given, **named: self._changed(real, given, named)

    def _changed(self, real, given, named):
        if self.dead:
            raise Killed
        self.calls += 1
        lasting = next((each for each in self.faults.values() if each.stays and each.at <= self.calls), None)
        fault = self.faults.get(self.calls, lasting)
        if fault is None:
            return real(*given, **named)
        if fault.kind == "lies":
            return None
        if fault.kind in ("fails-afterwards", "killed-after"):
            real(*given, **named)
        if fault.kind.startswith("killed"):
            self.dead = True
            raise Killed
        raise OSError(fault.number, "planned")

    def _die(self, *_given, **_named):
        raise Killed

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


# --- a simulated mount table ----------------------------------------------------------------------


class Simulated(Kernel):
    """Mounts as far as they matter here: who hangs under whom, who shares with whom (mount_namespaces(7))."""

    def __init__(self) -> None:
        self.ids = itertools.count(90_000_000)
        self.groups = itertools.count(70_000)
        self.table = []
        self.opened = 0

    def boot(self):
        return "this one"

    def rows(self):
        return list(self.table)

    def elsewhere(self):
        return {}

    def swaps(self):
        return []

    def loop_files(self):
        return {}

    def identity(self, device):
        return f"sim {device}"

    def written(self, device):
        return (0,)

    def number_of(self, path):
        return "250:7" if path == "/dev/sim" else ""

    def sync(self, row):
        pass

    def flush(self, device):
        pass

    def top(self, path):
        found = [row for row in self.table if row.path == path]
        if not found:
            raise OSError(errno.EINVAL, "not mounted", path)
        return found[-1]

    def over(self, path):
        """The mount that a path is looked up in."""
        inside = [row for row in self.table if path == row.path or path.startswith(row.path.rstrip("/") + "/")]
        return max(enumerate(inside), key=lambda pair: (len(pair[1].path), pair[0]))[1]

    def replace(self, old, **changes):
        self.table[self.table.index(old)] = attrs.evolve(old, **changes)

    def add(self, path, root, filesystem, source, device, options, super_options, tags):
        parent = self.over(path)
        if parent.group("shared") and not any(tag.startswith("shared") for tag in tags.split()):
            tags = " ".join([f"shared:{next(self.groups)}", *tags.split()])
        self.table.append(
            Row(next(self.ids), parent.id, device, root, path, options, tags, filesystem, source, super_options)
        )

    def remount(self, row, *, read_only):
        for each in [each for each in self.table if each.device == row.device]:
            words = ["ro" if read_only else "rw", *each.super_options.split(",")[1:]]
            self.replace(each, super_options=",".join(words))

    def unmount(self, row):
        top = self.top(row.path)
        if top.id != row.id or any(each.parent == row.id for each in self.table):
            raise OSError(errno.EBUSY, "busy")
        self.table.remove(top)

    def mount(self, row):
        if self.opened:
            raise OSError(errno.EBUSY, "held")
        options = ",".join(sorted(row.flags - {"ro"} | {"rw"}))
        self.add(row.path, "/", row.filesystem, "/dev/sim", "250:7", options, row.super_options, "")

    def bind(self, source, row):
        start = self.over(source)
        if start.unbindable:
            raise OSError(errno.EINVAL, "unbindable")
        root = start.root.rstrip("/") + source[len(start.path) :]
        tags = " ".join(tag for tag in start.tags.split() if tag.startswith(("shared", "master")))
        fields = (start.filesystem, start.source, start.device, start.options, start.super_options)
        self.add(row.path, root or "/", *fields, tags)

    def set_flags(self, row):
        self.replace(self.top(row.path), options=row.options)

    def propagate(self, path, kind):
        row = self.top(path)
        shared, master = row.group("shared"), row.group("master")
        peers = [each for each in self.table if shared and each.group("shared") == shared and each is not row]
        keep = [f"master:{master}"] if master else []
        if kind == "shared":
            tags = [f"shared:{shared or next(self.groups)}", *keep]
        elif kind == "slave":
            tags = [f"master:{shared}"] if peers else keep
        else:
            tags = ["unbindable"] if kind == "unbindable" else []
        self.replace(row, tags=" ".join(tags))


class SimulatedVolume(MemoryVolume):
    def __init__(self, kernel):
        super().__init__(b"x" * 65536)
        self.kernel = kernel

    @property
    def now(self):
        mounts = tuple(
            Mount(row.path, row.filesystem, root=row.root) for row in self.kernel.table if row.device == "250:7"
        )
        self.facts = attrs.evolve(self.facts, device="/dev/sim", kind=VolumeKind.BLOCK, mounts=mounts)
        return self


class SimulatedWorld:
    def __init__(self, shared_root, extras):
        self.kernel = Simulated()
        group = "shared:69000" if shared_root else ""
        self.kernel.table.append(Row(1, 0, "250:1", "/", "/", "rw,relatime", group, "ext4", "/dev/root", "rw"))
        self.kernel.add("/other", "/", "tmpfs", "tmpfs", "0:99", "rw", "rw", "")
        self.kernel.add("/a", "/", "ext4", "/dev/sim", "250:7", "noatime,nosuid,rw", "rw,errors=continue", "")
        if extras:
            self.kernel.propagate("/a", extras[0])
        for number, (source, kinds, options) in enumerate(extras[1:]):
            place = f"/b{number}"
            with contextlib.suppress(OSError):
                self.kernel.bind(f"/a{source}", attrs.evolve(self.kernel.top("/a"), path=place))
                for kind in kinds:
                    self.kernel.propagate(place, kind)
                self.kernel.set_flags(attrs.evolve(self.kernel.top(place), options=options))
        self.volume = SimulatedVolume(self.kernel)
        self.handed = []

    def fresh(self):
        volume = self.volume.now
        world = self

        class Handed(MemoryVolume):
            def open_reader(self, *, exclusive):
                reader = volume.open_reader(exclusive=exclusive)
                world.handed.append(reader)
                return reader

        handed = Handed(b"")
        handed.facts = volume.facts
        return handed

    def bury(self):
        """What the kernel closes for a dead process."""
        for reader in self.handed:
            reader.close()
        self.handed.clear()

    def close(self):
        pass


# --- the real one ---------------------------------------------------------------------------------


class RealWorld:
    """A small ext4 on a loop device, mounted in several ways."""

    template: Path

    def __init__(self, shared_root, extras):
        self.kernel = Kernel()
        self.undo = contextlib.ExitStack()
        self.folder = Path(self.undo.enter_context(tempfile.TemporaryDirectory(prefix="holdstill-machine-")))
        image = self.folder / "image"
        run("cp", "--sparse=always", self.template, image)
        self.loop = run("losetup", "--find", "--show", image)
        self.undo.callback(run, "losetup", "--detach", self.loop)
        self.base = self.folder / "base"
        self.base.mkdir()
        run("mount", "-t", "tmpfs", "tmpfs", self.base)
        self.undo.callback(run, "umount", "--lazy", self.base)
        run("mount", "--make-shared" if shared_root else "--make-private", self.base)
        (self.base / "a").mkdir()
        run("mount", "-o", "noatime,nosuid", self.loop, self.base / "a")
        if extras:
            run("mount", f"--make-{extras[0]}", self.base / "a")
        (self.base / "a" / "sub").mkdir(exist_ok=True)
        for number, (source, kinds, options) in enumerate(extras[1:]):
            place = self.base / f"b{number}"
            place.mkdir()
            if subprocess.run(["mount", "--bind", f"{self.base}/a{source}", place], capture_output=True).returncode:
                continue  # what is unbindable
            for kind in kinds:
                run("mount", f"--make-{kind}", place)
            run("mount", "-o", f"remount,bind,{options}", place)
        self.handed = []

    def fresh(self):
        volume = identify(self.loop)
        world = self

        class Handed(MemoryVolume):
            def open_reader(self, *, exclusive):
                reader = volume.open_reader(exclusive=exclusive)
                world.handed.append(reader)
                return reader

        handed = Handed(b"")
        handed.facts = volume.facts
        return handed

    def bury(self):
        for reader in self.handed:
            reader.close()
        self.handed.clear()

    def close(self):
        for row in reversed([row for row in table.read() if row.source == self.loop]):
            subprocess.run(["umount", row.path], capture_output=True)
        self.undo.close()


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout.strip()


# --- the machine ----------------------------------------------------------------------------------

KINDS = ("fails", "fails-afterwards", "lies", "killed-before", "killed-after")
FAULTS = st.lists(
    st.builds(
        Fault, st.integers(1, 14), st.sampled_from(KINDS), st.sampled_from([errno.EIO, errno.EBUSY]), st.booleans()
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


class Machine(RuleBasedStateMachine):
    world_class = SimulatedWorld

    @initialize(shared_root=st.booleans(), first=st.sampled_from(["private", "shared"]), extras=EXTRAS)
    def begin(self, shared_root, first, extras):
        self.world = self.world_class(shared_root, [first, *extras])
        self.book = Book()
        self.still = None
        volume = self.world.fresh().facts
        known = {mount.path for mount in volume.mounts}
        self.ours = [row for row in self.world.kernel.rows() if row.path in known]
        self.foreign = self.rest_of_the_table()

    def rest_of_the_table(self):
        known = {row.path for row in self.ours}
        return [row for row in self.world.kernel.rows() if row.path not in known and self.near(row)]

    def near(self, row):
        base = str(getattr(self.world, "base", ""))
        return row.path.startswith(base)

    @property
    def differences(self):
        found = shape.differences(self.ours, self.world.kernel.rows())
        paths = sorted(row.path for row in self.world.kernel.rows() if row.path in {each.path for each in self.ours})
        if paths != sorted(row.path for row in self.ours):
            found.append(f"mounts at {paths}")
        assert self.rest_of_the_table() == self.foreign, "what is not ours was touched"
        return found

    def new_run(self, faults):
        self.book.kernel = Faulty(self.world.kernel, faults)
        return self.book.kernel

    @precondition(lambda self: self.still is None and not self.book.open_lines)
    @rule(method=st.sampled_from(StaticMethod), faults=FAULTS)
    def hold(self, method, faults):
        kernel = self.new_run(faults)
        request = HoldRequest("run", self.book, mode=Mode.STATIC, static_method=method)
        try:
            self.still = static.hold(self.world.fresh(), request, kernel)
        except Killed:
            self.world.bury()
        except LeftHeld:
            assert self.book.open_lines
            self.world.bury()
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
            self.world.bury()
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
        self.world.bury()

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
        if not hasattr(self, "world"):
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


def drive(machine, examples, steps):
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=not full(),
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.torture
def test_against_a_simulated_mount_table(monkeypatch):
    monkeypatch.setattr(busy, "users", lambda rows: [])  # nobody is on what is not there
    monkeypatch.setattr(busy, "writers", lambda rows: [])
    drive(Machine, rounds(10_000), 12)


@pytest.mark.root
@pytest.mark.torture
def test_against_real_mounts(tmp_path):
    RealWorld.template = tmp_path / "template"
    with RealWorld.template.open("wb") as file:
        file.truncate(8 << 20)
    run("mkfs.ext4", "-q", "-F", RealWorld.template)

    class RealMachine(Machine):
        world_class = RealWorld

    drive(RealMachine, rounds(200), 8)
    assert os.listdir(tmp_path) == ["template"]
