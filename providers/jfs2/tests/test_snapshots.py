"""A snapshot of a JFS2, from before it exists until it is gone."""

from __future__ import annotations

import attrs
import pytest

from holdstill.errors import LeftHeld, NoProvider, ReadFault, UsageError, VolumeUnusable
from holdstill.model.extents import Extents
from holdstill.spi.holds import UndoState
from holdstill.spi.still import Exactness
from holdstill_jfs2 import plugin
from holdstill_jfs2.snapshots.holding import hold
from holdstill_testing.fakes.recorded_holds import RecordedHolds
from holdstill_testing.suites.still import StillSuite
from holdstill_testing.unix.host import Fault
from holdstill_testing.unix.runner import SimulatedRunner


def overwrite(world, *numbers):
    for number in numbers:
        world.fs.write(number, b"\x5a" * world.fs.block)


def inside(world, data):
    """What of ``data`` the file system had allocated."""
    size = world.fs.block
    return b"".join(data[number * size : (number + 1) * size] for number in sorted(world.was))


@pytest.fixture(params=["external", "internal"])
def kind(request):
    return request.param


@pytest.fixture
def held(made, kind):
    """A world, and a still of its file system."""
    world = made(internal=kind == "internal")
    world.truth, world.was = bytes(world.fs.volume.content), frozenset(world.fs.allocated)
    holds = RecordedHolds()
    settings = {"jfs2.extents": "fscntl", "jfs2.snapshot": kind}
    still = hold(world.volume(), world.request(holds, settings=settings))
    yield world, still, holds
    still.release()


def test_it_reads_as_it_was_whatever_is_written(held):
    world, still, _ = held
    overwrite(world, 4, 6, 20, 5)
    with still.open_reader() as reader:
        first = reader.read(0, reader.size)
        overwrite(world, 8, 10, 4)
        again = reader.read(0, reader.size)

    assert inside(world, first) == inside(world, again) == inside(world, world.truth)
    assert still.untrue() is None
    assert still.exactness is Exactness.INSIDE_MAP


def test_it_is_gone_afterwards_and_nothing_else(held):
    world, still, holds = held
    assert world.ours
    still.release()

    assert world.system.everything() == world.before
    assert holds.open_lines == []
    assert "fslv02" in world.system.volumes


def test_its_name_is_ours_and_known_before_it_exists(world):
    holds = RecordedHolds()
    still = hold(world.volume(), world.request(holds))
    (line,) = holds.lines

    made = [call for call in world.host.calls if call[0] == "mklv"]
    assert made == [("mklv", "-t", "jfs2", "-y", line.data["name"], "-L", "holdstill-0123456789abcdef", "datavg", "2")]
    assert len(line.data["name"]) <= 15
    assert line.data["ident"] == world.system.volumes[line.data["name"]].ident
    assert "older" in line.by_hand
    still.release()


class TestRefused:
    def test_unless_it_was_allowed(self, world):
        with pytest.raises(NoProvider, match="no real host") as refusal:
            hold(world.volume(), world.request(settings={}))
        assert "jfs2.extents=fscntl" in refusal.value.next_step
        assert world.host.calls == []

    @pytest.mark.parametrize("settings", [{"jfs2.extents": "yes"}, {"jfs2.extent": "fscntl"}, {"jfs2.snapshot": "x"}])
    def test_a_setting_that_there_is_not(self, world, settings):
        with pytest.raises(UsageError, match="no setting of jfs2"):
            hold(world.volume(), world.request(settings=settings))

    def test_settings_of_others_are_none_of_its_business(self, world):
        hold(world.volume(), world.request(settings={"jfs2.extents": "fscntl", "lvm9.x": "y"})).release()

    def test_what_is_no_jfs2(self, world):
        world.host.mounted[0].kind = "jfs"
        with pytest.raises(NoProvider, match="no JFS2"):
            hold(world.volume(), world.request())

    def test_without_room_with_what_is_missing(self, world):
        world.group.free = 3
        with pytest.raises(NoProvider, match=r"needs 9\.0 MiB \(9 partitions\) in volume group datavg.* 3\.0 MiB"):
            hold(world.volume(), world.request(cache_size="9M"))
        assert not any(call[0] in ("mklv", "snapshot") and "-q" not in call for call in world.host.calls)

    def test_while_there_are_foreign_ones(self, world):
        world.foreign("fslv07", world.fs)
        before = world.system.everything()
        with pytest.raises(NoProvider, match=r"fslv07.*would delete them too"):
            hold(world.volume(), world.request())
        assert world.system.everything() == before

    def test_with_the_other_kind_and_with_as_many_as_there_may_be(self, made):
        world = made(internal=True)
        for number in range(15):
            world.group.free = 9
            world.foreign(f"fslv1{number}", world.fs)
        settings = {"jfs2.extents": "fscntl", "jfs2.snapshot": "internal"}
        with pytest.raises(NoProvider, match="exclude each other; it has as many as it may have"):
            hold(world.volume(), world.request(settings=settings))

    def test_internal_where_it_was_not_made_for_that(self, world):
        settings = {"jfs2.extents": "fscntl", "jfs2.snapshot": "internal"}
        with pytest.raises(NoProvider, match="isnapshot"):
            hold(world.volume(), world.request(settings=settings))

    @pytest.mark.parametrize("name", ["none", "labelled volume", "filesystem", "group"])
    def test_what_is_not_understood_is_shown_and_nothing_is_made(self, world, monkeypatch, name):
        odd = attrs.evolve(world.system.texts[name] if name in world.system.texts else texts()[name], template="odd!")
        monkeypatch.setitem(texts(), name, odd)
        with pytest.raises(VolumeUnusable, match=r"not understood.*odd!"):
            hold(world.volume(), world.request())
        assert world.system.everything() == world.before

    def test_a_volume_of_our_name_that_is_somebody_elses_stays(self, world):
        holds = RecordedHolds()
        hold(world.volume(), world.request(holds)).release()
        name = holds.lines[0].data["name"]
        world.system.volume(name, world.group, 1)
        before = world.system.everything()

        with pytest.raises(LeftHeld, match="not the one that was made"):
            hold(world.volume(), world.request())
        assert world.system.everything() == before


def texts():
    from holdstill_testing.unix.jfs2_texts import TEXTS

    return TEXTS


class TestLost:
    @pytest.fixture
    def still(self, world):
        made = hold(world.volume(), world.request(cache_size="1M"))
        yield made
        made.release()

    def fill(self, world):
        (mine,) = world.fs.snapshots
        mine.room = 8
        overwrite(world, *range(0, 24, 2))

    def test_when_it_is_full(self, world, still):
        with still.open_reader() as reader:
            reader.read(0, 4096)
            self.fill(world)
            assert "lost" in still.untrue()
            with pytest.raises(ReadFault):
                reader.read(0, 4096)
        assert still.fill().used == still.fill().size

    def test_when_there_is_no_room_for_one_more(self, world, still):
        (mine,) = world.fs.snapshots
        mine.room = 5
        overwrite(world, 4)
        assert "space is full" in still.untrue()

    def test_when_somebody_deletes_it(self, world, still):
        SimulatedRunner(world.host).change(("snapshot", "-d", f"/dev/{world.fs.snapshots[0].name}"))
        assert "gone" in still.untrue()

    def test_when_it_is_made_anew_under_its_name(self, world, still):
        name = world.fs.snapshots[0].name
        world.host.pass_time(3)
        world.fs.snapshots[0].taken = world.host.clock
        assert "made it anew" in still.untrue()
        assert name in world.system.volumes

    def test_when_somebody_makes_a_newer_one(self, world, still):
        foreign = world.foreign("fslv07", world.fs)
        assert "fslv07" in still.untrue()
        still.release()
        assert world.fs.snapshots == [foreign]
        assert "fslv07" in world.system.volumes

    def test_when_the_system_cannot_be_asked(self, world, still):
        world.host.faults = {len(world.host.calls) + 1: Fault.HANGS}
        assert "cannot tell" in still.untrue()
        assert "cannot tell" in still.untrue()

    def test_what_the_kernel_says_wrongly_ends_it(self, world, still):
        overwrite(world, 4)
        world.fs.snapshots[0].moved[4] = 1 << 30
        with still.open_reader() as reader, pytest.raises(ReadFault, match="cannot be"):
            reader.read(0, reader.size)
        del world.fs.snapshots[0].moved[4]
        assert "cannot be" in still.untrue()


def test_it_grows_and_says_how_full_it_is(world):
    still = hold(world.volume(), world.request(cache_size="1M"))
    overwrite(world, 4, 6)
    before = still.fill()

    assert still.grow()

    assert still.fill().size == 2 * before.size
    assert before.used == still.fill().used == (4 + 2) * 4096
    world.group.free = 0
    assert not still.grow()
    still.release()


def test_an_older_foreign_one_that_came_between_is_not_endangered(world):
    """Somebody made one after we looked and before ours was made: to delete ours would delete it. Ours stays then,
    until that is gone.
    """
    holds = RecordedHolds()
    runner = Between(world, "mklv", lambda: world.foreign("fslv07", world.fs))
    with pytest.raises(LeftHeld, match="fslv07") as left:
        hold(world.volume(), world.request(holds, runner=runner))
    assert "snapshot -d" in left.value.next_step
    assert {"fslv07"} < {each.name for each in world.fs.snapshots}
    (line,) = holds.open_lines
    assert undone(world, line).state is UndoState.REFUSED

    SimulatedRunner(world.host).change(("snapshot", "-d", "/dev/fslv07"))
    assert undone(world, line).state is UndoState.REMOVED
    assert undone(world, line).state is UndoState.ABSENT
    assert world.system.everything() == world.before


def test_another_volume_group_of_its_name_is_not_touched(world):
    holds = RecordedHolds()
    still = hold(world.volume(), world.request(holds))
    world.group.ident = "another"
    with pytest.raises(LeftHeld, match="another one"):
        still.release()
    assert undone(world, holds.open_lines[0]).state is UndoState.REFUSED


def test_a_log_inside_reads_as_zeros(made):
    """What stands in a log while it is written to is of no instant: nobody shall ever replay it."""
    world = made(blocks=24, log=3)
    still = hold(world.volume(), world.request())
    with still.open_reader() as reader:
        assert reader.read(21 * 4096, 3 * 4096) == bytes(3 * 4096)
        assert reader.read(20 * 4096, 4096) != bytes(4096)
        assert reader.read(21 * 4096 - 10, 20) == bytes(world.fs.volume.content[21 * 4096 - 10 : 21 * 4096]) + bytes(10)
    assert still.not_held == Extents.of((0, 512))
    assert "the log inside it reads as zeros" in still.notes[1]
    still.release()


def undone(world, line):
    return plugin.undo(line.kind, 1, line.data, SimulatedRunner(world.host))


class Between(SimulatedRunner):
    """Somebody else does something before a command."""

    def __init__(self, world, command, then):
        super().__init__(world.host)
        object.__setattr__(self, "command", command)
        object.__setattr__(self, "then", then)

    def change(self, argv):
        if argv[0] == self.command:
            self.then()
        return super().change(argv)


class TestPublishedSuite(StillSuite):
    """With every block allocated: outside the map nothing is claimed."""

    @pytest.fixture
    def jfs2(self, made):
        world = made(blocks=24)
        world.fs.allocated.update(range(24))
        return world

    @pytest.fixture
    def make_still(self, jfs2):
        def make(request):
            asked = jfs2.request(request.holds)
            return hold(jfs2.volume(), attrs.evolve(asked, run=request.run))

        return make

    @pytest.fixture
    def truth(self, jfs2):
        return bytes(jfs2.fs.volume.content)

    @pytest.fixture
    def acquired(self, jfs2):
        return lambda: {name.split()[0] for name in jfs2.ours} - {"snapshot"}

    @pytest.fixture
    def change(self, jfs2):
        def write(offset, data):
            size = jfs2.fs.block
            assert (offset % size, len(data)) == (0, size)
            jfs2.fs.write(offset // size, data)

        return write

    @pytest.fixture
    def lose(self, jfs2):
        return jfs2.fs.abort

    @pytest.fixture
    def heal(self, jfs2):
        def make_anew():
            for each in jfs2.fs.snapshots:
                each.valid = True

        return make_anew
