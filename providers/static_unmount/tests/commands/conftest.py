"""Hosts with a state, and runs that hold what is on them."""

from __future__ import annotations

import attrs
import pytest

from holdstill.model.choices import StaticMethod
from holdstill.model.volume import Mode
from holdstill.spi.holds import Hold, Holds
from holdstill.spi.still import HoldRequest
from holdstill_fssnap import snapshot as fssnap
from holdstill_platforms.unix.identify import identify, system_of
from holdstill_static_unmount.commands import static
from holdstill_testing.fakes.faulty_calls import Killed
from holdstill_testing.unix.worlds import SYSTEMS, SimulatedMachine, world


class Line(Hold):
    def __init__(self, book, kind, version, data):
        self.book, self.kind, self.version, self.data = book, kind, version, data
        self.open = True

    def update(self, **narrower):
        self.data |= narrower

    def drop(self):
        if self.book.host.dead:
            raise Killed
        self.open = False


class Book(Holds):
    """A journal of several runs, each of which can be dead."""

    def __init__(self, host):
        self.host = host
        self.lines = []

    def hold(self, kind, data, *, by_hand, version=1):
        if self.host.dead:
            raise Killed
        self.lines.append(Line(self, kind, version, dict(data)))
        return self.lines[-1]

    @property
    def open_lines(self):
        return [line for line in reversed(self.lines) if line.open]


class Scene:
    """One host, its journal, and how it looked in the beginning."""

    def __init__(self, system):
        self.there = world(system)
        self.host = self.there.host
        self.machine = SimulatedMachine(self.there)
        self.book = Book(self.host)
        self.before = self.looks

    @property
    def looks(self):
        host = self.host
        mounts = sorted(attrs.astuple(each) for each in host.mounted)
        return mounts, dict(host.locked), sorted(host.snapshots), sorted(host.files)

    def find(self, path):
        return identify(path, system_of(self.there.platform), self.machine.runner, self.machine)

    def rest(self, seconds):
        if self.host.dead:
            raise Killed

    def request(self, method="remount", mode=Mode.STATIC, **more):
        return HoldRequest(
            "0123abcd",
            self.book,
            mode=mode,
            static_method=StaticMethod(method),
            runner=self.machine.runner,
            find=self.find,
            **more,
        )

    def hold(self, path="/home", method="remount"):
        """By a static method, or by ``fssnap``."""
        if method == "fssnap":
            return fssnap.hold(self.find(path), self.request(mode=Mode.SNAPSHOT), self.rest)
        return static.hold(self.find(path), self.request(method), self.rest)

    def undo(self, line):
        if line.kind == fssnap.KIND:
            return fssnap.undo(line.version, line.data, self.machine.runner)
        return static.undo(line.kind, line.version, line.data, self.machine.runner, self.find)


@pytest.fixture(params=SYSTEMS, ids=lambda system: system.name)
def scene(request):
    return Scene(request.param)


@pytest.fixture
def make_scene():
    return Scene


@pytest.fixture
def on():
    """A scene of the system of this name."""
    return lambda name: Scene(next(system for system in SYSTEMS if system.name == name))
