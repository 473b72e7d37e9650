"""What is held by commands on AIX, HP-UX and Solaris, and who is told what."""

import attrs
import pytest

from holdstill.errors import LeftHeld, NoProvider, UsageError, VolumeBusy, VolumeUnusable
from holdstill.model.volume import Consistency, Mode, Mount
from holdstill.spi.holds import UndoState
from holdstill_fssnap import plugin as fssnap_plugin
from holdstill_static_unmount import plugin
from holdstill_static_unmount.commands.systems import SYSTEMS, System
from holdstill_testing.suites.still import StillSuite
from holdstill_testing.unix.host import STAMP, WRITTEN, Fault, Host


class _Suite(StillSuite):
    @pytest.fixture
    def make_still(self, scene, method):
        def make(request):
            scene.book = request.holds
            return scene.hold("/home", method)

        return make

    @pytest.fixture
    def truth(self, scene):
        return bytes(scene.host.disks[scene.there.home].content)

    @pytest.fixture
    def acquired(self, scene):
        before = scene.before
        return lambda: {"/home"} if scene.looks != before else set()


class TestRemounted(_Suite):
    @pytest.fixture(params=["AIX", "HP-UX"])
    def scene(self, on, request):
        return on(request.param)

    @pytest.fixture
    def method(self):
        return "remount"

    @pytest.fixture
    def lose(self, scene):
        def mounted_for_writing():
            assert scene.host.run(("umount", "/home"), change=True).ok
            assert scene.host.run(("mount", "/home"), change=True).ok

        return mounted_for_writing

    @pytest.fixture
    def heal(self, scene):
        def as_it_was_held():
            assert scene.host.run(("umount", "/home"), change=True).ok
            kind = scene.there.host.table[3].kind
            option = "-v" if scene.there.platform == "aix" else "-F"
            words = ("mount", option, kind, "-o", "ro,nosuid,largefiles", scene.there.home, "/home")
            assert scene.host.run(words, change=True).ok

        return as_it_was_held


class TestUnmounted(_Suite):
    @pytest.fixture
    def method(self):
        return "unmount"


class TestLocked(_Suite):
    @pytest.fixture
    def scene(self, on):
        return on("Solaris")

    @pytest.fixture
    def method(self):
        return "remount"

    @pytest.fixture
    def lose(self, scene):
        return lambda: scene.host.run(("lockfs", "-u", "/home"), change=True)


class TestSnapshot(_Suite):
    @pytest.fixture
    def scene(self, on):
        return on("Solaris")

    @pytest.fixture
    def method(self):
        return "fssnap"

    @pytest.fixture
    def change(self, scene):
        def write(offset, content):
            scene.host.disks[scene.there.home].content[offset : offset + len(content)] = content

        return write

    @pytest.fixture
    def lose(self, scene):
        return lambda: [scene.host.live() for _ in range(1000)]


def test_meanwhile_readers_may_go_on_and_writers_may_not(scene):
    still = scene.hold("/home", "remount")

    assert still.mode is Mode.STATIC
    assert still.consistency is Consistency.POINT_IN_TIME
    assert scene.host.at("/home") is not None
    assert not scene.host.can_write("/home")
    assert scene.host.can_write("/data"), "nobody else is disturbed"
    still.release()
    assert scene.host.can_write("/home")
    assert scene.looks == scene.before


def test_unmounted_nobody_gets_at_it(scene):
    still = scene.hold("/home", "unmount")

    assert scene.host.at("/home") is None
    still.release()
    assert scene.looks == scene.before


def test_it_comes_back_with_the_options_of_the_mount_and_not_those_of_the_table(scene):
    assert scene.host.at("/home").options == "rw,nosuid,largefiles"
    assert scene.host.table[3].options == "rw"

    scene.hold("/home", "unmount").release()

    assert scene.host.at("/home").options == "rw,nosuid,largefiles"
    mounting = [call for call in scene.host.calls if call[0] == "mount" and "-o" in call]
    assert all(call.count("-o") == 1 for call in mounting), "of several only the last counts"
    assert not any("dev=" in word for call in mounting for word in call)


@pytest.mark.parametrize("method", ["remount", "unmount"])
def test_whoever_is_in_the_way_is_named_and_nothing_is_touched(scene, method):
    scene.host.users["/home"] = {4711}
    if scene.there.platform.startswith("sunos") and method == "remount":
        pytest.skip("a lock makes its users wait")

    with pytest.raises(VolumeBusy, match=r"process 4711 \(/usr/sbin/program-4711\)"):
        scene.hold("/home", method)

    assert scene.book.lines == []
    assert not any(call[0] == "umount" for call in scene.host.calls)
    assert scene.looks == scene.before


def test_somebody_who_comes_just_then_is_named_too(scene, monkeypatch):
    run = Host.run

    def somebody_comes(host, argv, *, change):
        if argv[0] == "umount":
            host.users["/home"] = {815}
        return run(host, argv, change=change)

    monkeypatch.setattr(Host, "run", somebody_comes)
    with pytest.raises(VolumeBusy, match="process 815"):
        scene.hold("/home", "unmount")
    assert scene.looks == scene.before
    assert scene.book.open_lines == []


def test_what_is_not_made_static(scene):
    with pytest.raises(VolumeBusy, match="/data/deep"):
        scene.hold("/data", "unmount")
    with pytest.raises(VolumeUnusable, match="root"):
        scene.hold("/", "unmount")
    with pytest.raises(VolumeUnusable, match="not mounted"):
        scene.hold(scene.there.spare, "unmount")
    scene.host.mounted.append(attrs.evolve(scene.host.at("/home"), place="/again"))
    with pytest.raises(VolumeUnusable, match="several places"):
        scene.hold("/home", "unmount")
    assert scene.book.lines == []


def test_one_that_is_read_only_is_only_watched(scene):
    scene.host.at("/home").options = "ro"
    before = scene.looks

    still = scene.hold("/home", "remount")

    assert scene.book.lines == []
    assert still.untrue() is None
    scene.host.at("/home").options = "rw"
    assert "mounted otherwise" in still.untrue()
    scene.host.at("/home").options = "ro"
    still.release()
    assert scene.looks == before


def test_a_volume_of_another_system_is_left_to_others(scene):
    volume = scene.find("/home")
    volume = attrs.evolve(volume, facts=attrs.evolve(volume.facts, facts={}))
    with pytest.raises(NoProvider):
        plugin.snapshot(volume=volume, request=scene.request())
    with pytest.raises(NoProvider):
        fssnap_plugin.snapshot(volume, scene.request(mode=Mode.SNAPSHOT))
    with pytest.raises(NoProvider):
        plugin.snapshot(volume=scene.find("/home"), request=scene.request(mode=Mode.SNAPSHOT))
    with pytest.raises(NoProvider, match="frozen"):
        plugin.freeze(volume=scene.find("/home"), request=scene.request(mode=Mode.FREEZE))


def test_what_is_done_is_told_by_the_mount_table_and_not_by_an_exit_code(scene):
    at = _number_of(scene, "umount")
    scene.host.faults = {at: Fault.LIES}

    still = scene.hold("/home", "unmount")

    assert scene.host.at("/home") is None
    still.release()
    assert scene.looks == scene.before


def test_a_mount_that_is_refused_is_tried_by_its_name(scene):
    scene.host.at("/home").options = "rw"
    before = scene.looks
    still = scene.hold("/home", "unmount")
    calls = len(scene.host.calls)
    refused = calls + _after(scene, lambda: still.release(), "mount")
    still = scene.hold("/home", "unmount")
    scene.host.faults = {len(scene.host.calls) + refused - calls: Fault.FAILS}

    still.release()

    assert ("mount", "/home") in scene.host.calls
    assert scene.looks == before


def test_what_cannot_be_put_back_is_said_and_recovered_later(scene):
    still = scene.hold("/home", "unmount")
    now = len(scene.host.calls)
    scene.host.faults = dict.fromkeys(range(now, now + 500), Fault.FAILS)

    with pytest.raises(LeftHeld) as caught:
        still.release()

    assert "nosuid,largefiles" in caught.value.next_step
    (line,) = scene.book.open_lines
    scene.host.faults = {}
    assert scene.undo(line).state is UndoState.REMOVED
    assert scene.looks == scene.before
    assert scene.undo(line).state is UndoState.ABSENT


def test_what_is_not_provably_ours_is_not_touched(scene):
    scene.hold("/home", "unmount")
    (line,) = scene.book.open_lines
    data = dict(line.data)

    assert (
        scene.undo(
            attrs.make_class("L", {"kind": attrs.field(), "version": attrs.field(), "data": attrs.field()})(
                line.kind, 1, {**data, "identity": "another"}
            )
        ).state
        is UndoState.REFUSED
    )
    kind = "-v" if scene.there.platform == "aix" else "-F"
    scene.host.run(("mount", kind, data["filesystem"], "-o", "rw", data["device"], "/elsewhere"), change=True)
    undone = scene.undo(line)
    assert (undone.state, "/elsewhere" in undone.detail) == (UndoState.REFUSED, True)
    line.data["boot"] = "Nov 1 00:00"
    assert scene.undo(line).state is UndoState.ABSENT, "the host was started again"
    line.version = 2
    assert scene.undo(line).state is UndoState.UNKNOWN


def test_the_lock_of_somebody_else_stays(on):
    scene = on("Solaris")
    scene.host.run(("lockfs", "-w", "-c", "theirs", "/home"), change=True)
    with pytest.raises(VolumeBusy, match="theirs"):
        scene.hold("/home", "remount")
    scene.host.run(("lockfs", "-u", "/home"), change=True)

    scene.hold("/home", "remount")
    scene.host.comments["/home"] = "theirs"

    (line,) = scene.book.open_lines
    assert scene.undo(line).state is UndoState.REFUSED
    assert scene.host.locked
    scene.host.run(("umount", "/home"), change=True)
    assert scene.undo(line).state is UndoState.ABSENT


def test_a_snapshot_leaves_its_users_alone_and_says_how_full_it_is(on):
    scene = on("Solaris")
    scene.host.users["/home"] = {4711}
    before = bytes(scene.host.disks[scene.there.home].content)

    still = scene.hold("/home", "fssnap")

    assert still.mode is Mode.SNAPSHOT
    assert scene.host.can_write("/home")
    scene.host.live()
    with still.open_reader() as reader:
        assert reader.read(0, reader.size) == before
    assert scene.host.disks[scene.there.home].content[WRITTEN] != before[WRITTEN]
    assert still.fill().size == 1 << 20
    assert 0 < still.fill().used < still.fill().size
    still.release()
    assert scene.looks == scene.before


def test_the_snapshot_of_somebody_else_stays(on):
    scene = on("Solaris")
    scene.host.run(("fssnap", "-F", "ufs", "-o", "bs=/var/tmp/theirs", "/home"), change=True)

    with pytest.raises(VolumeBusy, match="already"):
        scene.hold("/home", "fssnap")

    assert scene.book.lines == []
    scene.hold("/data/deep", "fssnap")
    (line,) = scene.book.open_lines
    scene.host.snapshots["/data/deep"].backing = "/var/tmp/theirs-too"
    assert scene.undo(line).state is UndoState.REFUSED
    assert set(scene.host.snapshots) == {"/home", "/data/deep"}


def test_where_its_changes_would_be_kept_on_itself_no_snapshot_is_made(on):
    scene = on("Solaris")
    scene.host.mounted[3].place = "/var"
    before = scene.looks

    with pytest.raises(VolumeUnusable, match="no snapshot of it can be made"):
        scene.hold("/var", "fssnap")

    assert scene.looks == before


@pytest.mark.parametrize(("asked", "room"), [("", 1 << 20), ("50%", 1 << 20), ("3145728", 3 << 20)])
def test_how_much_room_a_snapshot_gets(on, asked, room):
    scene = on("Solaris")
    volume, request = scene.find("/home"), scene.request(mode=Mode.SNAPSHOT, cache_size=asked)

    still = fssnap_plugin.snapshot(volume, request)

    assert scene.host.snapshots["/home"].limit == room
    still.release()
    with pytest.raises(UsageError):
        fssnap_plugin.snapshot(volume, attrs.evolve(request, cache_size="much"))
    assert scene.looks == scene.before


def test_only_what_a_mount_can_be_told_is_told_again():
    hpux = next(system for system in SYSTEMS if system.name == "HP-UX")
    shown = Mount("/mp", "vxfs", "log,rw,ioerror=mwdisable,dev=40000003")

    assert hpux.mount("/dev/vg00/lvol5", shown, read_only=True) == (
        "mount",
        "-F",
        "vxfs",
        "-o",
        "ro,log,ioerror=mwdisable",
        "/dev/vg00/lvol5",
        "/mp",
    )
    assert hpux.same(shown, attrs.evolve(shown, options="rw,ioerror=mwdisable,log,dev=1"))
    assert not hpux.same(shown, attrs.evolve(shown, options="ro,ioerror=mwdisable,log"))
    assert System("x", "-F").settable("rw,dev=1") == ["rw", "dev=1"]
    assert STAMP < WRITTEN


def _number_of(scene, command):
    """Which of the next commands it would be, on a host like this one."""
    like = type(scene)(type(scene.host.system))
    like.hold("/home", "unmount")
    return next(at for at, call in enumerate(like.host.calls, 1) if call[0] == command)


def _after(scene, act, command):
    start = len(scene.host.calls)
    act()
    return next(at for at, call in enumerate(scene.host.calls[start:], 1) if call[0] == command and "-o" in call)
