"""AIX, HP-UX and Solaris by their own commands, against hosts with a state."""

import os

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdstill.errors import HoldstillError, ReadFault, VolumeBusy, VolumeError, VolumeMissing, VolumeUnusable
from holdstill_platforms.unix.devices import LocalDevices
from holdstill_platforms.unix.identify import SYSTEMS, identify, mounted_volumes, system_of
from holdstill_testing.suites.reader import ReaderSuite
from holdstill_testing.torture import dice
from holdstill_testing.unix.host import STAMP, Fault
from holdstill_testing.unix.runner import SimulatedRunner
from holdstill_testing.unix.worlds import SIZE, SimulatedMachine, world
from holdstill_testing.unix.worlds import SYSTEMS as SIMULATED


@pytest.fixture(params=SIMULATED, ids=lambda system: system.name)
def there(request):
    return world(request.param)


def find(there, path):
    return identify(path, system_of(there.platform), SimulatedRunner(there.host), SimulatedMachine(there))


def test_every_system_is_known_by_how_python_calls_it():
    assert [system_of(name).name for name in ("aix", "hp-ux11", "sunos5")] == ["AIX", "HP-UX", "Solaris"]
    assert system_of("linux") is None
    assert len(SYSTEMS) == 3


@pytest.mark.parametrize("by", ["home", "raw", "place"])
def test_a_volume_is_found_by_any_of_its_names(there, by):
    path = {"home": there.home, "raw": there.raw, "place": "/home/"}[by]

    facts = find(there, path).facts

    assert (facts.device, facts.size, facts.path) == (there.home, SIZE, f"sim://there{path}")
    assert facts.identity.startswith("sim://there/")
    assert [(mount.path, mount.read_only, mount.root) for mount in facts.mounts] == [("/home", False, "/")]
    assert facts.mounts[0].filesystem == there.host.at("/home").kind
    assert facts.mounts[0].options.startswith("rw,nosuid,largefiles")
    assert facts.nested == ()
    assert facts.holders == ()
    assert facts.layers


def test_what_is_mounted_below_is_told(there):
    assert [mount.path for mount in find(there, "/data").facts.nested] == ["/data/deep"]


def test_what_the_system_swaps_to_is_held(there):
    facts = find(there, there.swap).facts

    assert facts.holders
    with pytest.raises(VolumeBusy, match=facts.holders[0]):
        find(there, there.swap).open_reader(exclusive=True)
    with pytest.raises(VolumeBusy, match=facts.holders[0]):
        find(there, there.swap).open_writer()


def test_nobody_holds_what_is_spare(there):
    facts = find(there, there.spare).facts

    assert not facts.in_use
    assert facts.size == SIZE


def test_disks(there):
    assert find(there, there.disk).facts.size == SIZE


def test_a_logical_volume_of_aix_by_its_name_alone():
    there = world(SIMULATED[0])

    facts = find(there, "/fslv02").facts

    assert facts.device == "/dev/fslv02"
    assert facts.identity == "sim://there/lv:00f6f42a00004c0000000179c407a0bb.4"
    assert facts.facts["vg"] == "datavg"


@pytest.mark.parametrize("path", ["/nothing/here", "/dev/nosuchdevice", "/"])
def test_what_is_no_volume(there, path):
    if path == "/":
        there.host.mounted[0].device = "server:/export"
    with pytest.raises(VolumeError) as caught:
        find(there, path)
    assert caught.value.subject == f"sim://there{path}"


def test_mounted_volumes_are_listed(there):
    there.host.mounted[1].device = "/dev/cd0"

    found = mounted_volumes(system_of(there.platform), SimulatedRunner(there.host))

    assert there.home in [facts.device for facts in found]
    assert "/dev/cd0" not in [facts.device for facts in found]


def test_the_bytes_are_those_of_the_raw_device(there):
    content = bytes(there.host.disks[there.spare].content)

    with find(there, there.spare).open_reader(exclusive=True) as reader:
        assert reader.read(0, SIZE) == content
        assert reader.changed() is None


def test_a_mount_meanwhile_is_noticed_even_if_it_is_over(there):
    place = "/spare"
    kind = there.host.at("/home").kind
    with find(there, there.spare).open_reader(exclusive=True) as reader:
        words = ("mount", *(("-v",) if there.platform == "aix" else ("-F",)), kind, "-o", "rw", there.spare, place)
        assert there.host.run(words, change=True).ok
        assert "mounted on /spare" in reader.changed()
        assert there.host.run(("umount", place), change=True).ok
        assert "first sectors" in reader.changed()


def test_who_uses_it_is_named(there):
    there.host.users["/home"] = {4711, 12}
    there.host.users[there.spare] = {815}
    there.host.users[there.host.disks[there.spare].raw] = {815, 816}

    assert find(there, "/home").users() == (
        "process 12 (/usr/sbin/program-12)",
        "process 4711 (/usr/sbin/program-4711)",
    )
    with pytest.raises(VolumeBusy, match=r"815 .*816"):
        find(there, there.spare).open_reader(exclusive=True)
    with pytest.raises(VolumeBusy, match="mounted on /home"):
        find(there, "/home").open_writer()


def test_unmounted_for_a_restore_or_told_who_is_in_the_way(there):
    volume = find(there, there.home)
    there.host.users["/home"] = {4711}
    with pytest.raises(VolumeBusy, match="process 4711"):
        volume.unmount()
    assert there.host.at("/home") is not None

    there.host.users.clear()
    volume.unmount()

    assert there.host.at("/home") is None
    with find(there, there.home).open_writer() as writer:
        writer.write(STAMP, b"restored")
        writer.flush()
        assert writer.reader().read(STAMP, 8) == b"restored"


def test_our_own_paths_lie_where_they_are_looked_up(there):
    volume = attrs.evolve(find(there, "/data"), machine=None)

    assert volume.carries("/data/state/runs")
    assert not volume.carries("/data/deep/state")
    assert not volume.carries("/database")
    assert not find(there, "/data").carries("/data/state"), "another host's"
    there.host.faults = dict.fromkeys(range(1, 100), Fault.FAILS)
    assert not volume.carries("/data/state"), "cannot be seen"


@given(
    st.sampled_from(SIMULATED),
    st.integers(1, 8),
    st.sampled_from([Fault.FAILS, Fault.HANGS, Fault.BABBLES, Fault.LIES]),
)
@settings(suppress_health_check=list(HealthCheck))
def test_an_answer_that_is_none_is_told_with_its_text_and_nothing_is_guessed(system, at, fault):
    there = world(system)
    there.host.faults = {at: fault}
    names = ["/home", there.spare, there.disk, there.swap]
    whole = world(system)
    for name in names:
        before = len(there.host.calls)
        try:
            facts = find(there, name).facts
        except VolumeError as error:
            assert before < at <= len(there.host.calls), "that was the one"
            assert fault is not Fault.BABBLES or ("%%%" in str(error) and "send us" in error.next_step)  # noqa: PT017
        else:
            assert facts == find(whole, name).facts


def test_a_table_of_another_shape_is_not_read_by_its_columns(there):
    answers = {
        "aix": "  nodo       montado        montado en    vfs       fecha        opciones\n-------- ---\n",
        "hp-ux11": "/ on /dev/vg00/lvol3 log,dev=40000003 on Mon Jan  1 00:00:00 2024\n",
        "sunos5": "/dev/dsk/c0t0d0s0\t/\tufs\trw\n",
    }

    class Other(SimulatedRunner):
        def ask(self, argv, *, limit):
            return attrs.evolve(super().ask(argv, limit=limit), out=answers[there.platform])

    with pytest.raises(VolumeUnusable) as caught:
        identify("/home", system_of(there.platform), Other(there.host), SimulatedMachine(there))
    assert repr(answers[there.platform])[:40] in caught.value.message


# --- the raw devices of this host ------------------------------------------------------------------


class TestRawReader(ReaderSuite):
    """A raw device of an odd number of sectors."""

    @pytest.fixture
    def truth(self) -> bytes:
        return dice("raw").randbytes(64 * 4096 + 3 * 512)

    @pytest.fixture
    def reader(self, tmp_path, truth):
        with LocalDevices().open_reader(raw(tmp_path, truth), len(truth)) as reader:
            yield reader


class TestHeldVolume(ReaderSuite):
    """What a volume hands out when nobody else may use it."""

    @pytest.fixture
    def there(self):
        return world(SIMULATED[1])

    @pytest.fixture
    def truth(self, there) -> bytes:
        return bytes(there.host.disks[there.spare].content)

    @pytest.fixture
    def reader(self, there):
        with find(there, there.spare).open_reader(exclusive=True) as reader:
            yield reader


def raw(tmp_path, content):
    path = tmp_path / "rlv"
    path.write_bytes(content)
    return str(path)


@pytest.mark.parametrize("size", [64 * 4096, 100 * 512 + 512])
def test_any_range_of_a_raw_device(tmp_path, size, monkeypatch):
    content = os.urandom(size)
    seen = []
    real = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, n, offset: seen.append((n, offset)) or real(fd, n, offset))
    with LocalDevices().open_reader(raw(tmp_path, content), size) as reader:
        for offset, length in [(0, size), (1, 1), (511, 2), (size - 1, 1), (513, size - 1000), (0, 0)]:
            assert reader.read(offset, length) == content[offset : offset + length]
        unit = reader.alignment
        with pytest.raises(ValueError, match="inside"):
            reader.read(size, 1)
    assert all(n % unit == 0 and offset % unit == 0 for n, offset in seen), "whole sectors only"
    with pytest.raises(ValueError, match="closed"):
        reader.read(0, 1)


def test_what_is_written_to_a_raw_device(tmp_path, monkeypatch):
    content = bytearray(os.urandom(3 << 20))
    path = raw(tmp_path, content)
    seen = []
    real = os.pwrite
    monkeypatch.setattr(
        os, "pwrite", lambda fd, data, offset: seen.append((len(data), offset)) or real(fd, data, offset)
    )
    with LocalDevices().open_writer(path, len(content)) as writer:
        for offset, piece in [(0, b"a" * 5000), (4096 * 3 + 7, b"b" * 2_000_000), (len(content) - 3, b"end")]:
            writer.write(offset, piece)
            content[offset : offset + len(piece)] = piece
        writer.zero(777, 1_500_000)
        content[777 : 777 + 1_500_000] = bytes(1_500_000)
        writer.flush()
        with writer.reader() as reader:
            assert reader.read(0, len(content)) == content
    assert all(n % 4096 == 0 and offset % 4096 == 0 for n, offset in seen)


def test_a_raw_device_that_ends_early_or_is_not_there(tmp_path):
    path = raw(tmp_path, bytes(4096))
    with LocalDevices().open_reader(path, 8192) as reader, pytest.raises(ReadFault) as caught:
        reader.read(0, 8192)
    assert caught.value.length == 8192
    with pytest.raises(VolumeMissing):
        LocalDevices().open_reader(str(tmp_path / "none"), 4096)


def test_a_flush_that_failed_fails_for_good(tmp_path, monkeypatch):
    path = raw(tmp_path, bytes(4096))
    with LocalDevices().open_writer(path, 4096) as writer:
        writer.write(0, b"x")
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", lambda fd: (_ for _ in ()).throw(OSError(5, "Input/output error")))
            with pytest.raises(HoldstillError, match="stable"):
                writer.flush()
        with pytest.raises(HoldstillError, match="stable"):
            writer.flush()
