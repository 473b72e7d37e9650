"""Volumes of simulated AIX, HP-UX and Solaris hosts, through the engine and through the command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import holdstill_filesystems.plugin
import holdstill_fssnap.plugin
import holdstill_platforms.plugin
import holdstill_static_unmount.plugin
import holdstill_storage.plugin
from holdstill import BackupRequest, Conversation, Engine, RestoreRequest, VerifyRequest
from holdstill.errors import VolumeBusy, VolumeChanged
from holdstill.model.choices import StaticMethod
from holdstill.model.volume import Consistency, Mode
from holdstill.plugins.hookspecs import hookimpl
from holdstill.plugins.registry import Plugins
from holdstill.spi.holds import UndoState
from holdstill.spi.provider import ProviderInfo
from holdstill_cli.main import main
from holdstill_testing.conversations import Agreeing
from holdstill_testing.fakes.faulty_calls import Killed
from holdstill_testing.unix.host import Death, Host, System
from holdstill_testing.unix.worlds import SYSTEMS, SimulatedMachine, world


class Reaching:
    """The plugin that reaches it."""

    API = 0

    def __init__(self, machine: SimulatedMachine) -> None:
        self.machine = machine

    @hookimpl
    def provider_info(self) -> ProviderInfo:
        return ProviderInfo(name="simulated", summary="a simulated host", schemes=("sim",))

    @hookimpl
    def reach(self, url: str) -> SimulatedMachine:
        return self.machine


class Site:
    """One host there, and the engine here."""

    def __init__(self, system: type[System], folder: Path) -> None:
        self.there = world(system)
        self.host = self.there.host
        self.looked = self.looks
        plugins = (
            holdstill_storage.plugin,
            holdstill_filesystems.plugin,
            holdstill_platforms.plugin,
            holdstill_static_unmount.plugin,
            holdstill_fssnap.plugin,
            Reaching(SimulatedMachine(self.there)),
        )
        self.make_engine: Callable[[], Engine] = lambda: Engine(Plugins.of(*plugins), state=str(folder / "state"))
        self.engine = self.make_engine()
        self.repository = str(folder / "repository")
        self.engine.init(self.repository, chunk_size=64 << 10)

    @property
    def looks(self) -> tuple[Any, ...]:
        host = self.host
        return [(m.device, m.place, m.kind, m.options) for m in host.mounted], host.locked, host.snapshots, host.files

    def content(self, device: str) -> bytes:
        return bytes(self.host.disks[device].content)

    def backup(self, volume: str = "sim://there/home", **how: Any) -> Any:
        return self.engine.backup(self.repository, BackupRequest(volume, **how), Conversation())


@pytest.fixture(params=SYSTEMS, ids=lambda system: system.name)
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    return Site(request.param, tmp_path)


@pytest.mark.parametrize("method", StaticMethod)
def test_a_mounted_volume_by_a_static_image_and_back_on_another(site: Site, method: StaticMethod) -> None:
    truth = site.content(site.there.home)

    result = site.backup(mode=Mode.STATIC, static_method=method)

    assert (result.mode, result.consistency) == (Mode.STATIC, Consistency.POINT_IN_TIME)
    assert result.host == "there"
    assert site.looks == site.looked, "the host ends as it began"
    image = site.engine.show(site.repository, result.image)
    assert image.volume.path == "sim://there/home"
    assert site.engine.verify(site.repository, VerifyRequest(read_data=True), Conversation()).findings == ()

    to = f"sim://there{site.there.spare}"
    restored = site.engine.restore(site.repository, RestoreRequest(result.image, to_volume=to), Agreeing())

    assert restored.proved
    assert site.content(site.there.spare) == truth
    assert site.content(site.there.home) != truth, "its users went on"


def test_by_default_it_is_held_as_the_system_is_wont_to_and_offline_where_nobody_uses_it(site: Site) -> None:
    assert site.backup(f"sim://there{site.there.spare}").mode is Mode.OFFLINE
    with pytest.raises(VolumeBusy, match="in use"):
        site.backup(mode=Mode.OFFLINE)
    assert site.looks == site.looked


def test_whoever_is_in_the_way_is_named_and_nothing_is_committed(site: Site) -> None:
    site.host.users["/home"] = {4711}

    with pytest.raises(VolumeBusy, match="process 4711"):
        site.backup(mode=Mode.STATIC, static_method=StaticMethod.UNMOUNT)

    assert site.looks == site.looked
    assert site.engine.images(site.repository) == []


def test_back_on_the_volume_itself_which_is_unmounted_meanwhile(site: Site) -> None:
    image = site.backup(mode=Mode.STATIC, static_method=StaticMethod.UNMOUNT).image
    site.host.live()

    target = f"sim://there{site.there.home}"
    with pytest.raises(VolumeBusy, match="mounted on /home"):
        site.engine.restore(site.repository, RestoreRequest(image, to_volume=target), Agreeing())
    restored = site.engine.restore(site.repository, RestoreRequest(image, to_volume=target, unmount=True), Agreeing())

    assert restored.proved
    assert site.looks == site.looked, "and mounted again"


@pytest.mark.parametrize("death", Death)
def test_a_run_that_is_killed_at_any_command_is_recovered(site: Site, death: Death) -> None:
    site.backup(mode=Mode.STATIC, static_method=StaticMethod.UNMOUNT)
    commands = len(site.host.calls)
    for at in range(1, commands + 1, 3):
        images = len(site.engine.images(site.repository))
        site.host.faults = {len(site.host.calls) + at: death}
        with pytest.raises(Killed):
            site.backup(mode=Mode.STATIC, static_method=StaticMethod.UNMOUNT)
        site.host.dead, site.host.faults = False, {}

        undone = site.engine.recover(Conversation())

        assert all(each.state in (UndoState.REMOVED, UndoState.ABSENT) for each in undone)
        assert site.looks == site.looked
        assert len(site.engine.images(site.repository)) - images in (0, 1)
    assert site.engine.verify(site.repository, VerifyRequest(read_data=True), Conversation()).findings == ()


@pytest.fixture
def solaris(tmp_path: Path) -> Site:
    return Site(next(system for system in SYSTEMS if system.name == "Solaris"), tmp_path)


def test_a_ufs_in_use_by_a_snapshot(solaris: Site) -> None:
    before = solaris.content(solaris.there.home)

    result = solaris.backup(mode=Mode.SNAPSHOT, snapshot_provider="fssnap", cache_size=str(64 << 20))

    assert result.mode is Mode.SNAPSHOT
    assert result.consistency is Consistency.POINT_IN_TIME
    assert solaris.looks == solaris.looked
    assert solaris.content(solaris.there.home) != before, "its users went on"
    to = f"sim://there{solaris.there.spare}"
    solaris.engine.restore(solaris.repository, RestoreRequest(result.image, to_volume=to), Agreeing())
    assert solaris.content(solaris.there.spare) == before


def test_a_snapshot_that_ran_full_is_never_committed(solaris: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    live = Host.live
    monkeypatch.setattr(Host, "live", lambda host: [live(host) for _ in range(40)])

    with pytest.raises(VolumeChanged, match="snapshot is gone"):
        solaris.backup(mode=Mode.SNAPSHOT, snapshot_provider="fssnap")

    assert solaris.engine.images(solaris.repository) == []
    assert solaris.looks == solaris.looked


def test_through_the_command(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    def command(*words: str) -> Any:
        code = main(["--json", "--yes", "--repo", site.repository, *words], site.make_engine)
        last = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert code == 0, last
        return last

    truth = site.content(site.there.home)
    taken = command("backup", "--mode", "static", "sim://there/home")
    assert taken["mode"] == "static"
    command("restore", taken["image"], "--to", f"sim://there{site.there.spare}")

    assert site.looks == site.looked
    assert site.content(site.there.spare) == truth


def test_what_was_never_seen_is_asked_and_reported(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["providers", "--check", "sim://there"], site.make_engine) == 0

    said = capsys.readouterr().out
    assert f"on there ({site.there.platform})" in said
    assert "AS-TAKEN: platforms: the mount table is understood" in said
    assert "UNASKED: platforms: umount PLACE" in said
    assert site.looks == site.looked
