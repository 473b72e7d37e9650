"""The rules by which a volume is held, and what is never held."""

import attrs
import pytest

from holdstill.errors import NoProvider, OwnGround, UsageError, VolumeBusy, VolumeUnusable
from holdstill.held.state import StateFolder
from holdstill.model.choices import OnNoSnapshot
from holdstill.model.orders import BackupOrder
from holdstill.model.volume import Mode, Mount
from holdstill.pipeline.ground import needed
from holdstill.pipeline.hold import Holder
from holdstill.pipeline.stills import DynamicStill, FreezeStill, OfflineStill
from holdstill.spi.conversation import Conversation
from holdstill.spi.runner import NoRunner
from holdstill.spi.still import Freeze
from holdstill_testing.fakes.memory_volume import MemoryVolume
from holdstill_testing.fakes.recorded_holds import RecordedHolds


class Ice(Freeze):
    why = None
    thaws = 0

    def renew(self):
        raise AssertionError

    def ended(self):
        return self.why

    def thaw(self):
        self.thaws += 1


class Providers:
    """What is installed, and what it was asked for."""

    def __init__(self, *modes, refusing=()):
        self.modes = modes
        self.refusing = refusing
        self.asked = []
        self.ice = Ice()

    def offers(self, mode, name):
        return mode is Mode.SNAPSHOT and name in self.refusing

    def snapshot(self, volume, request):
        self.asked.append(request)
        if request.mode not in self.modes:
            raise NoProvider("nobody can", subject=volume.facts.path)
        return DynamicStill(volume)

    def freeze(self, volume, request):
        self.asked.append(request)
        return self.ice


class Repository:
    def __init__(self, local):
        self.target = type("T", (), {"local_path": local})


class Carrier(MemoryVolume):
    carried = ()

    def carries(self, path):
        return path in self.carried


def volume(*, mounted=False, holders=(), carried=()):
    made = Carrier(b"x" * 8192)
    mounts = (Mount("/mnt", "ext4"),) if mounted else ()
    made.facts = attrs.evolve(made.facts, mounts=mounts, holders=holders)
    made.carried = carried
    return made


@pytest.fixture
def hold(tmp_path):
    def hold(made, mode, providers=None, on_no_snapshot=OnNoSnapshot.FAIL, look_only=False, **more):
        order = BackupOrder(
            volume="/fake/volume",
            mode=mode,
            gap_size=0,
            limit_rate=0,
            on_read_error="fail",
            on_no_snapshot=on_no_snapshot,
            static_method="unmount",
            cache_growth=True,
            changed_blocks=False,
            freeze_limit=9.0,
            pre_command="",
            post_command="",
            command_limit=1.0,
            **({"cache_size": ""} | more),
        )
        holder = Holder(
            providers or Providers(),
            Repository(str(tmp_path / "repository")),
            StateFolder(tmp_path / "state"),
            order,
            Conversation(),
            "run",
            RecordedHolds(),
            NoRunner(),
        )
        return holder.look_only(made) if look_only else holder.hold(made)

    return hold


def test_auto_takes_a_snapshot_where_one_can_be_made(hold):
    providers = Providers(Mode.SNAPSHOT)
    for made in (volume(mounted=True), volume()):
        assert isinstance(hold(made, Mode.AUTO, providers), DynamicStill)
    assert [request.mode for request in providers.asked] == [Mode.SNAPSHOT, Mode.SNAPSHOT]


def test_auto_is_offline_for_what_nobody_uses(hold):
    assert isinstance(hold(volume(), Mode.AUTO, on_no_snapshot=OnNoSnapshot.DYNAMIC), OfflineStill)


def test_auto_fails_for_what_is_in_use_unless_somebody_chose(hold):
    with pytest.raises(VolumeBusy, match="in use: mounted on /mnt; nothing installed can make a snapshot of it"):
        hold(volume(mounted=True), Mode.AUTO)
    with pytest.raises(VolumeBusy, match=r"; nothing called lvm2 is installed that makes snapshots$"):
        hold(volume(mounted=True), Mode.AUTO, snapshot_provider="lvm2")
    with pytest.raises(VolumeBusy, match=r"; lvm2 cannot make a snapshot of it \(nobody can\)$"):
        hold(volume(mounted=True), Mode.AUTO, Providers(refusing=("lvm2",)), snapshot_provider="lvm2")
    with pytest.raises(VolumeBusy, match="held by dm-0"):
        hold(volume(holders=("dm-0",)), Mode.AUTO)


def test_without_a_provider_auto_means_static_and_snapshot_makes_no_sense(hold):
    providers = Providers(Mode.SNAPSHOT, Mode.STATIC)

    assert isinstance(hold(volume(), Mode.AUTO, providers, snapshot_provider="none"), OfflineStill)
    hold(volume(mounted=True), Mode.AUTO, providers, snapshot_provider="none")
    assert [request.mode for request in providers.asked] == [Mode.STATIC]
    with pytest.raises(UsageError, match="no provider"):
        hold(volume(mounted=True), Mode.SNAPSHOT, providers, snapshot_provider="none")


def test_the_provider_that_was_named_and_the_space_are_asked_for(hold):
    providers = Providers(Mode.SNAPSHOT)
    for mode in (Mode.AUTO, Mode.SNAPSHOT):
        hold(volume(mounted=True), mode, providers, snapshot_provider="lvm2", cache_size="40%")
    assert {(request.provider, request.cache_size) for request in providers.asked} == {("lvm2", "40%")}


@pytest.mark.parametrize("mode", [Mode.DYNAMIC, Mode.AUTO])
def test_jfs2_is_never_imaged_while_it_changes(hold, mode):
    made = volume()
    made.facts = attrs.evolve(made.facts, mounts=(Mount("/mnt", "jfs2"),))
    with pytest.raises(VolumeUnusable, match="jfs2 is never imaged while it changes"):
        hold(made, mode, on_no_snapshot=OnNoSnapshot.DYNAMIC)


def test_auto_does_what_was_chosen(hold):
    providers = Providers(Mode.STATIC)
    chosen = {
        choice: hold(volume(mounted=True), Mode.AUTO, providers, choice)
        for choice in (OnNoSnapshot.STATIC, OnNoSnapshot.FREEZE, OnNoSnapshot.DYNAMIC)
    }
    assert isinstance(chosen[OnNoSnapshot.FREEZE], FreezeStill)
    assert isinstance(chosen[OnNoSnapshot.DYNAMIC], DynamicStill)
    assert [request.mode for request in providers.asked if request.mode is not Mode.SNAPSHOT] == [
        Mode.STATIC,
        Mode.FREEZE,
    ]
    assert {(request.static_method, request.limit, request.run) for request in providers.asked} == {
        ("unmount", 9.0, "run")
    }


def test_a_snapshot_that_was_asked_for_is_not_replaced(hold):
    with pytest.raises(NoProvider):
        hold(volume(mounted=True), Mode.SNAPSHOT, on_no_snapshot=OnNoSnapshot.STATIC)


def test_static_of_what_nobody_uses_is_offline_and_a_freeze_of_it_is_nothing(hold):
    assert isinstance(hold(volume(), Mode.STATIC), OfflineStill)
    with pytest.raises(VolumeUnusable, match="not mounted"):
        hold(volume(), Mode.FREEZE)


@pytest.mark.parametrize("mode", [Mode.STATIC, Mode.FREEZE])
def test_what_the_engine_stands_on_is_not_held(hold, tmp_path, mode):
    grounds = dict(needed(StateFolder(tmp_path / "state"), Repository(str(tmp_path / "repository"))))
    assert {"the state folder, with the journal", "the repository", "holdstill itself"} <= set(grounds)
    providers = Providers(Mode.STATIC)
    for what, path in grounds.items():
        with pytest.raises(OwnGround, match=what):
            hold(volume(mounted=True, carried=(path,)), mode, providers)
    assert providers.asked == []


def test_what_others_can_go_on_with_may_be_our_own_ground(hold, tmp_path):
    made = volume(mounted=True, carried=(str(tmp_path / "state"),))
    hold(made, Mode.SNAPSHOT, Providers(Mode.SNAPSHOT))
    hold(made, Mode.DYNAMIC)


@pytest.mark.parametrize("mode", list(Mode))
def test_a_dry_run_disturbs_nobody(hold, mode):
    providers = Providers(Mode.SNAPSHOT, Mode.STATIC)
    if mode is Mode.OFFLINE:
        with pytest.raises(VolumeBusy):
            hold(volume(mounted=True), mode, providers, look_only=True)
    else:
        assert isinstance(hold(volume(mounted=True), mode, providers, look_only=True), DynamicStill)
    assert providers.asked == []


# --- the still of a freeze ------------------------------------------------------------------------


def test_a_freeze_is_thawed_once_everything_was_read(hold):
    providers = Providers()
    still = hold(volume(mounted=True), Mode.FREEZE, providers)
    with still.open_reader() as reader:
        assert reader.read(0, 2) == b"xx"
        still.all_was_read()
        assert providers.ice.thaws == 1
        with pytest.raises(OSError, match="the freeze is over"):
            reader.read(0, 2)
    providers.ice.why = "it ended later"
    assert still.untrue() is None
    still.release()
    assert still.untrue() is None


def test_a_freeze_that_ended_too_early_stays_lost(hold):
    providers = Providers()
    still = hold(volume(mounted=True), Mode.FREEZE, providers)
    providers.ice.why = "the limit"
    with still.open_reader() as reader, pytest.raises(OSError, match="the limit"):
        reader.read(0, 2)
    providers.ice.why = None
    still.all_was_read()
    assert still.untrue() == "the limit"


def test_a_freeze_whose_volume_cannot_be_opened_is_thawed(hold, monkeypatch):
    providers = Providers()
    made = volume(mounted=True)
    made.hold(exclusive=True)
    monkeypatch.setattr(Carrier, "open_reader", lambda self, exclusive: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        hold(made, Mode.FREEZE, providers)
    assert providers.ice.thaws == 1
