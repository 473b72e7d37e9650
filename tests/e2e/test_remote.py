"""Volumes of another machine: this one, reached through a real sshd. The whole way, and what may happen on it."""

import getpass
import os
import signal
import subprocess
from pathlib import Path

import attrs
import pytest

from holdstill import Mode, RestoreRequest, StaticMethod
from holdstill.errors import (
    HoldstillError,
    HostKeyRefused,
    MachineLost,
    OwnGround,
    RestoreRefused,
    VolumeBusy,
    VolumeChanged,
    VolumeUnusable,
)
from holdstill.model.fsck import FilesystemState
from holdstill.pipeline.copying import Copier
from holdstill_remote import machine
from holdstill_remote.programs import SshRunner
from holdstill_testing import volumes
from holdstill_testing.conversations import Agreeing
from holdstill_testing.workbench import Workbench

pytest_plugins = ["holdstill_testing.server_fixtures"]
pytestmark = pytest.mark.root

CONFIGURATION = """
Host there
    HostName 127.0.0.1
    Port {server.port}
    User {user}
    IdentityFile {server.identity}
    IdentitiesOnly yes
    UserKnownHostsFile {known_hosts}
"""


@pytest.fixture
def known_hosts(ssh_server, tmp_path, monkeypatch):
    """The machine is ``there``; what is known of its key may be changed by a test."""
    known = tmp_path / "known_hosts"
    known.write_text(ssh_server.known_hosts.read_text())
    file = tmp_path / "ssh_config"
    file.write_text(CONFIGURATION.format(server=ssh_server, user=getpass.getuser(), known_hosts=known))
    monkeypatch.setenv("HOLDSTILL_SSH_CONFIG", str(file))
    monkeypatch.setattr("holdstill_remote.machine._reached", {})
    return known


@pytest.fixture
def device(volume, known_hosts):
    with volumes.attached(volume) as device:
        yield device


def there(path):
    return f"ssh://there{path}"


def masters():
    """The processes that keep our connections."""
    ours = "|".join(str(each.connection._folder) for each in machine._reached.values())
    found = subprocess.run(["pgrep", "-f", rf"^ssh: ({ours})/.*\[mux\]"], capture_output=True, text=True).stdout
    return [int(line) for line in found.split()]


@pytest.fixture
def target(volume, tmp_path):
    """A device of the size of the volume, full of something else."""
    image = tmp_path / "target"
    image.write_bytes(os.urandom(volume.stat().st_size))
    with volumes.attached(image) as device:
        yield device


def test_there_and_back(bench, device, target):
    due = bench.due(device)

    taken = bench.back_up(there(device))
    restored = bench.restore(taken.image, target)
    again = bench.back_up(there(device))

    assert (taken.mode, taken.volume.path, taken.volume.filesystem.name) == (Mode.OFFLINE, there(device), "ext4")
    assert taken.sizes.used_size < taken.sizes.volume_size
    assert restored.proved
    assert volumes.digest(target) == due
    assert again.new_chunks == 0
    assert bench.nothing_is_held()


def test_onto_a_device_over_there(bench, volume, known_hosts, target):
    due = bench.due(volume)
    taken = bench.back_up(volume)

    restored = bench.engine.restore(bench.url, onto(taken.image, there(target)), Agreeing())

    assert (restored.proved, restored.target) == (True, there(target))
    assert volumes.digest(target) == due


def test_what_is_mounted_there_is_not_imaged_offline_nor_written_over(bench, device, target):
    taken = bench.back_up(there(device))
    with volumes.mounted(device) as place:
        with pytest.raises(VolumeBusy, match=f"in use: mounted on {place}"):
            bench.back_up(there(device), mode=Mode.OFFLINE)
        with pytest.raises(VolumeBusy, match=f"in use: mounted on {place}"):
            bench.engine.restore(bench.url, onto(taken.image, there(device)), Agreeing())
        assert bench.back_up(there(place), mode=Mode.DYNAMIC).volume.device == device


@pytest.fixture
def mounted(device):
    """Mounted there, with an option of its own; where."""
    with volumes.mounted(device, "-o", "noatime") as place:
        yield place


def options_at(place):
    """Of the mount, and of its file system."""
    found = subprocess.run(["findmnt", "-no", "OPTIONS", place], capture_output=True, text=True).stdout
    return set(found.strip().split(","))


def test_a_way_that_leads_back_to_this_host_spares_what_the_engine_stands_on(bench, device, mounted, known_hosts):
    """By way of ssh the repository would be unmounted, or written over."""
    own = Workbench(bench.engine, mounted / "repository", bench.state)
    own.engine.init(own.url)
    image = own.back_up(known_hosts).image

    with pytest.raises(OwnGround, match="the repository"):
        own.back_up(there(device), mode=Mode.STATIC)
    with pytest.raises(RestoreRefused, match="the restore needs that"):
        own.engine.restore(own.url, attrs.evolve(onto(image, there(device)), unmount=True), Agreeing())
    assert os.path.ismount(mounted)


@pytest.mark.parametrize("method", StaticMethod)
def test_what_is_mounted_there_is_made_static_and_put_back(bench, device, mounted, method, monkeypatch):
    seen = []
    copy = Copier.copy

    def watched(self, windows, meter):
        seen.append(options_at(mounted) if os.path.ismount(mounted) else None)
        copy(self, windows, meter)

    monkeypatch.setattr(Copier, "copy", watched)
    before = options_at(mounted)

    taken = bench.back_up(there(mounted), mode=Mode.STATIC, static_method=method)

    assert (taken.mode, taken.volume.device) == (Mode.STATIC, device)
    assert "ro" in seen[0] if method is StaticMethod.REMOUNT else seen == [None]
    assert options_at(mounted) == before
    assert {"rw", "noatime"} <= before
    assert bench.nothing_is_held()


def test_whoever_uses_it_there_is_in_the_way(bench, mounted):
    with (mounted / "open").open("w"), pytest.raises(VolumeBusy, match=f"process {os.getpid()}"):
        bench.back_up(there(mounted), mode=Mode.STATIC)
    assert os.path.ismount(mounted)
    assert bench.nothing_is_held()


def test_a_part_that_is_mounted_there_could_not_be_mounted_again(bench, device, mounted, tmp_path):
    (mounted / "part").mkdir()
    (tmp_path / "bound").mkdir()
    subprocess.run(["mount", "--bind", mounted / "part", tmp_path / "bound"], check=True)
    try:
        subprocess.run(["umount", mounted], check=True)
        with pytest.raises(VolumeUnusable, match="shows only a part of it, /part"):
            bench.back_up(there(device), mode=Mode.STATIC)
    finally:
        subprocess.run(["umount", tmp_path / "bound"], check=True)


def test_a_connection_that_ends_while_it_is_held_and_recovered(bench, mounted, known_hosts, monkeypatch):
    """There is no way back while it is read, and so none to give it back; later there is."""
    key, copy = known_hosts.read_text(), Copier.copy
    before = options_at(mounted)

    def cut(self, windows, meter):
        known_hosts.write_text("")
        for master in masters():
            os.kill(master, signal.SIGKILL)
        copy(self, windows, meter)

    with monkeypatch.context() as patch:
        patch.setattr(Copier, "copy", cut)
        with pytest.raises(HoldstillError):
            bench.back_up(there(mounted), mode=Mode.STATIC, static_method=StaticMethod.UNMOUNT)
    assert not os.path.ismount(mounted)
    (left,) = bench.engine.recover(Agreeing())
    assert not left.gone
    assert left.by_hand.startswith("on ssh://there: mount ")

    known_hosts.write_text(key)
    (undone,) = bench.engine.recover(Agreeing())

    assert undone.gone
    assert options_at(mounted) == before
    assert bench.nothing_is_held()


def test_a_mounted_target_over_there_is_mounted_again(bench, volume, device, mounted):
    taken = bench.back_up(there(device), mode=Mode.STATIC)
    (mounted / "later").write_text("not in the image")

    request = attrs.evolve(onto(taken.image, there(mounted)), unmount=True, fsck=True)
    restored = bench.engine.restore(bench.url, request, Agreeing())

    assert (restored.proved, restored.mounted) == (True, (str(mounted),))
    assert restored.fsck.state is FilesystemState.CLEAN
    assert not (mounted / "later").exists()
    assert bench.nothing_is_held()


def test_a_target_that_is_mounted_read_only_there_is_unmounted(bench, volume, device):
    image = bench.back_up(there(device)).image
    with volumes.mounted(device, "-o", "ro,noload") as place:
        request = attrs.evolve(onto(image, there(device)), unmount=True)
        restored = bench.engine.restore(bench.url, request, Agreeing())

        assert (restored.proved, restored.mounted) == (True, ())
        assert restored.notes[-1] == "it is not mounted again: it was mounted read-only"
        assert not os.path.ismount(place)


def test_who_has_it_is_seen(bench, device):
    with volumes.attached(device) as upper, pytest.raises(VolumeBusy, match=f"in use: {Path(upper).name}"):
        bench.back_up(there(device), mode=Mode.OFFLINE)


def test_a_write_while_it_is_read_is_noticed(bench, device, monkeypatch):
    copy = Copier.copy

    def disturbed(self, windows, meter):
        copy(self, windows, meter)
        with open(device, "r+b") as file:
            file.seek(1 << 20)
            file.write(b"somebody else")

    monkeypatch.setattr(Copier, "copy", disturbed)
    with pytest.raises(VolumeChanged, match="something wrote to it while it was read"):
        bench.back_up(there(device))
    assert bench.engine.images(bench.url) == []


def test_where_nobody_can_tell_whether_it_was_written_to_there_is_no_image(bench, device, monkeypatch):
    """A sync over there that does not end in time."""
    ask = SshRunner.ask

    def slow(self, argv, *, limit):
        return ask(self, ["false"] if argv == ["sync"] else argv, limit=limit)

    monkeypatch.setattr(SshRunner, "ask", slow)
    with pytest.raises(VolumeUnusable, match="whether it is written to cannot be found out: `sync`"):
        bench.back_up(there(device))


def test_a_connection_that_ends_while_it_is_read_leaves_no_image(bench, device, monkeypatch):
    """Also where what cannot be read may be zeros."""
    copy = Copier.copy

    def cut(self, windows, meter):
        for master in masters():
            os.kill(master, signal.SIGKILL)
        copy(self, windows, meter)

    monkeypatch.setattr(Copier, "copy", cut)
    with pytest.raises(MachineLost):
        bench.back_up(there(device), on_read_error="zero")
    assert bench.engine.images(bench.url) == []
    assert bench.nothing_is_held()


def test_a_host_key_that_changes_between_two_backups(bench, ssh_server, device, known_hosts, monkeypatch):
    bench.back_up(there(device))
    name = known_hosts.read_text().split()[0]
    known_hosts.write_text(f"{name} {(ssh_server.folder / 'user.pub').read_text()}")
    for master in masters():
        os.kill(master, signal.SIGKILL)

    with pytest.raises(HostKeyRefused, match="another one than is known here"):
        bench.back_up(there(device))


@pytest.mark.parametrize(
    ("path", "said"), [("/etc/passwd", "regular file; only block devices"), ("/etc", "no mount point")]
)
def test_what_is_no_volume_there(bench, known_hosts, path, said):
    with pytest.raises(VolumeUnusable, match=said):
        bench.back_up(there(path))


def onto(image, target):
    return RestoreRequest(image, to_volume=target)
