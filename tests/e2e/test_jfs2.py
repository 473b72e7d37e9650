"""The whole way with a JFS2 on a simulated AIX: held, its used blocks read, stored, restored; while others write."""

from __future__ import annotations

import sys
import threading

import attrs
import numpy as np
import pytest

from holdstill.engine import Engine
from holdstill.errors import NoProvider, UsageError, VolumeBusy, VolumeChanged
from holdstill.model.choices import OnNoSnapshot
from holdstill.model.extents import Extents
from holdstill.model.volume import Mode
from holdstill.plugins.hookspecs import hookimpl
from holdstill.plugins.registry import Plugins
from holdstill.spi.machine import Machine
from holdstill.spi.still import HoldRequest
from holdstill_filesystems import plugin as filesystems
from holdstill_jfs2 import plugin as jfs2
from holdstill_jfs2.moved import kernel
from holdstill_platforms.unix import identify as unix
from holdstill_storage import plugin as storage
from holdstill_testing.fakes.recorded_holds import RecordedHolds
from holdstill_testing.jfs2_images import forge
from holdstill_testing.torture import dice
from holdstill_testing.unix.jfs2_world import PARTITION, PLACE, RawReader, World
from holdstill_testing.unix.runner import SimulatedRunner
from holdstill_testing.workbench import Workbench

BLOCK, BLOCKS, LOG = 512, 8192 + 300, 8
ALLOWED = "jfs2.extents=fscntl"


class Reached(Machine):
    """The simulated host, as the platform reaches it."""

    url, name, system = "sim://aix", "aix", "aix7"

    def __init__(self, world):
        self.world = world
        self.runner = SimulatedRunner(world.host)

    def runner_for(self, run, local):
        return self.runner

    def at_work(self, run):
        return ""

    def open_reader(self, device, size):
        reader = RawReader(self.world, device.removeprefix("/dev/r"))
        assert reader.size == size
        return reader

    def open_writer(self, device, size):
        raise AssertionError("nobody writes here")


class OnAix:
    """The provider, whose programs run on the simulated host, and the platform of that host. ``away``: it is another
    machine's.
    """

    API = jfs2.API

    def __init__(self, world, *, away=False):
        self.world = world
        self.away = away

    @hookimpl
    def provider_info(self):
        return attrs.evolve(jfs2.provider_info(), applies_here=True)

    @hookimpl
    def identify(self, path):
        return self.find(path) if path == PLACE else None

    def find(self, path):
        reached = Reached(self.world)
        volume = unix.identify(path, unix.system_of("aix"), reached.runner, reached)
        return volume if self.away else attrs.evolve(volume, machine=None)

    @hookimpl
    def snapshot(self, volume, request):
        return jfs2.snapshot(volume, self._there(request))

    @hookimpl
    def freeze(self, volume, request):
        return jfs2.freeze(volume, self._there(request))

    @hookimpl
    def undo(self, kind, version, data):
        return jfs2.undo(kind, version, data, SimulatedRunner(self.world.host))

    @hookimpl
    def restore(self, image, target):
        return jfs2.restore(image, target)

    def _there(self, request):
        return attrs.evolve(request, runner=SimulatedRunner(self.world.host), find=self.find)


@pytest.fixture
def image(tmp_path):
    """A JFS2 with noise in whatever is in use: its bytes, and which blocks those are."""
    chance = np.random.default_rng(dice("jfs2 of the whole way").getrandbits(32))
    used = np.repeat(chance.random(-(-BLOCKS // 50)) < 0.4, 50)[:BLOCKS]
    bits = forge(tmp_path / "jfs2.img", BLOCK, used, LOG)
    data = bytearray((tmp_path / "jfs2.img").read_bytes())
    for number in np.flatnonzero(used):
        if not any(data[number * BLOCK : (number + 1) * BLOCK]):
            data[number * BLOCK : (number + 1) * BLOCK] = chance.bytes(BLOCK)
    data.extend(bytes(-len(data) % PARTITION))
    return data, {int(number) for number in np.flatnonzero(bits)} | set(range(BLOCKS, BLOCKS + 2 * LOG))


@pytest.fixture
def world(image, monkeypatch):
    made = World(BLOCK, image=image)
    for name in ("vfs_of", "inode_of", "device_of", "extentinfo"):
        monkeypatch.setattr(kernel, name, getattr(made, name))
    return made


@pytest.fixture
def bench(world, tmp_path):
    (tmp_path / "options.toml").write_text("")
    plugins = Plugins.of(OnAix(world), filesystems, storage)
    engine = Engine(plugins, state=str(tmp_path / "state"), options=str(tmp_path / "options.toml"))
    engine.init(str(tmp_path / "repository"), chunk_size=64 << 10)
    return Workbench(engine, tmp_path / "repository", tmp_path / "state")


class Writers:
    """Write to blocks of the file system while it is read, as long as it can be written to."""

    def __init__(self, world, every):
        self.world, self.every, self.ticks, self.writes = world, every, 0, 0
        self.chance = dice("writers")
        self.blocks = sorted(number for number in world.fs.allocated if 0x10000 < number * BLOCK < BLOCKS * BLOCK)
        self.lock = threading.Lock()

    def __call__(self):
        with self.lock:
            self.ticks += 1
            if self.world.fs.snapshots and self.ticks % self.every == 0 and self.world.host.can_write(PLACE):
                self.writes += 1
                self.world.fs.write(self.chance.choice(self.blocks), self.chance.randbytes(BLOCK))


def due(truth, used, *, without_log):
    """What an image must hold: what was in use, as it was; in a snapshot's the log is empty."""
    found = bytearray(len(truth))
    for offset, length in used:
        found[offset : offset + length] = truth[offset : offset + length]
    if without_log:
        found[(BLOCKS + LOG) * BLOCK : (BLOCKS + 2 * LOG) * BLOCK] = bytes(LOG * BLOCK)
    return bytes(found)


def used_of(blocks):
    return Extents.of(*((number * BLOCK, BLOCK) for number in blocks))


def test_an_image_of_one_instant_while_others_write(world, bench, tmp_path):
    truth, used = bytes(world.fs.volume.content), used_of(world.fs.allocated)
    world.tick = writers = Writers(world, 20)

    done = bench.back_up(PLACE, mode=Mode.SNAPSHOT, provider_settings=ALLOWED, cache_size="2M")

    assert writers.writes > 100
    assert done.whole_volume_because is None
    assert (done.mode, done.consistency) == ("snapshot", "point-in-time")
    assert any("no real host has proven" in note for note in done.notes)
    assert any("logform" in note for note in done.notes)
    assert world.system.everything() == world.before
    assert bench.nothing_is_held()
    told = bench.restore(done.image, tmp_path / "restored.img")
    assert (tmp_path / "restored.img").read_bytes() == due(truth, used, without_log=True)
    assert any("logform" in note for note in told.notes)


def test_a_store_that_runs_full_is_no_image(world, bench):
    world.tick = Writers(world, 1)

    with pytest.raises(VolumeChanged, match=r"lost|full|given up"):
        bench.back_up(PLACE, mode=Mode.SNAPSHOT, provider_settings=ALLOWED, cache_size="1M", cache_growth=False)

    assert world.system.everything() == world.before
    assert bench.nothing_is_held()
    assert list(bench.engine.images(bench.url)) == []


def test_without_leave_auto_does_what_was_chosen(world, bench, tmp_path):
    truth, used = bytes(world.fs.volume.content), used_of(world.fs.allocated)

    with pytest.raises(VolumeBusy, match="no real host"):
        bench.back_up(PLACE)
    done = bench.back_up(PLACE, on_no_snapshot=OnNoSnapshot.FREEZE)

    assert done.mode == "freeze"
    assert world.host.can_write(PLACE)
    assert world.system.everything() == world.before
    assert bench.nothing_is_held()
    bench.restore(done.image, tmp_path / "restored.img")
    assert (tmp_path / "restored.img").read_bytes() == due(truth, used, without_log=False)


def test_a_whole_volume_is_said_to_be_exact_inside_only(world, bench):
    done = bench.back_up(PLACE, mode=Mode.SNAPSHOT, provider_settings=ALLOWED, cache_size="2M", gap_size=0)

    assert any("it may be newer than the rest" in note for note in done.notes)


def test_a_setting_that_there_is_not_is_wrong_usage(world, bench):
    with pytest.raises(UsageError, match="jfs2 has no setting 'extent'"):
        bench.back_up(PLACE, mode=Mode.SNAPSHOT, provider_settings="jfs2.extent=fscntl")
    with pytest.raises(UsageError):
        bench.back_up(PLACE, provider_settings="jfs2")
    assert {call[0] for call in world.host.calls} <= {"mount", "lslv"}


def test_from_another_machine_it_is_frozen_and_not_snapped(world):
    """The kernel must be asked where it runs."""
    there = OnAix(world, away=True)
    request = HoldRequest("run", RecordedHolds(), settings={"jfs2.extents": "fscntl"})

    with pytest.raises(NoProvider, match="another machine"):
        there.snapshot(there.find(PLACE), request)
    freeze = there.freeze(there.find(PLACE), request)

    assert not world.host.can_write(PLACE)
    freeze.thaw()
    assert world.host.can_write(PLACE)


def test_on_this_system_it_is_listed_and_not_used():
    row = next(row for row in Plugins.installed().rows() if row.name == "jfs2")

    assert row.broken is None
    assert row.info.applies_here is sys.platform.startswith("aix")
