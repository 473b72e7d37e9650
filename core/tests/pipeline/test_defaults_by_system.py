"""What a backup does by its defaults on each system, by mode ``auto`` and by each name: as TSM's guide has it.

Online from a JFS2 snapshot on AIX and from one of Linux LVM on Linux; static on HP-UX and Solaris, unmounted and then
mounted read-only; offline where nobody uses the volume; dynamic by ``dynamicimage yes`` (here ``mode = "dynamic"``).
Each is driven from this one, so that one table shows all systems.
"""

import attrs
import pytest

from holdstill.engine import Engine
from holdstill.errors import HoldstillError, NoProvider, VolumeBusy
from holdstill.model.named import named_requests
from holdstill.model.requests import BackupRequest
from holdstill.model.volume import Mode, Mount
from holdstill.plugins.registry import Plugins
from holdstill.spi.conversation import Conversation
from holdstill_testing.fakes.answering_plugin import Plugin
from holdstill_testing.fakes.memory_machine import MemoryMachine
from holdstill_testing.fakes.memory_target import MemoryTarget
from holdstill_testing.fakes.memory_volume import MemoryVolume

SYSTEMS = ["linux", "aix", "hp-ux11", "sunos5"]
#: who can make a snapshot of anything at all there
SNAPSHOTS = ["linux", "aix"]


class Held(HoldstillError):
    """How a provider was asked to hold it."""

    id = "held"


def hold(volume, request):
    """The provider of each mode, as it is asked."""
    static = request.mode is Mode.STATIC
    raise Held(f"{request.mode} {request.static_method}" if static else str(request.mode))


@pytest.fixture
def backed_up(tmp_path):
    """``backed_up(system, request, ...)`` says how the volume of a machine of that system was held."""

    def run(system, request, *, mounted=True, snapshots=True, **more):
        volume = MemoryVolume(bytes(64 << 10), "/dev/volume")
        volume.machine = machine = MemoryMachine("ssh://host", system)
        mounts = (Mount("/data", "ext4"),) if mounted else ()
        url = "ssh://host/dev/volume"
        volume.facts = attrs.evolve(volume.facts, path=url, identity=url, mounts=mounts)
        providers = [Plugin("platforms", systems=[system], identify=volume)]
        providers += [Plugin("static", systems=[system], modes=["static"], snapshot=hold)]
        if snapshots and system in SNAPSHOTS:
            providers += [Plugin("snapshots", systems=[system], modes=["snapshot"], snapshot=hold)]
        reaching = Plugin("remote", schemes=["ssh"], reach=machine)
        storage = Plugin("storage", schemes=["memory"], storage_target=MemoryTarget())
        engine = Engine(Plugins.of(reaching, storage, *providers), str(tmp_path))
        engine.init("memory://")
        try:
            result = engine.backup("memory://", attrs.evolve(request, volume=url, **more), Conversation())
        except Held as held:
            return held.message
        except (VolumeBusy, NoProvider) as refused:
            return refused.id
        return str(result.mode)

    return run


def requests(system):
    """Mode ``auto`` said outright, and what the drop-down list offers there."""
    named = {each.name: each.request("") for each in named_requests(system)}
    return {"auto": BackupRequest("", mode=Mode.AUTO), **named}


ONLINE = {"auto": "snapshot", "image": "snapshot", "snapshot-image": "snapshot"}
STATIC = {"auto": "static remount", "image": "static remount"}


@pytest.mark.parametrize(
    ("case", "linux", "aix", "others"),
    [
        ({}, ONLINE, ONLINE, STATIC),
        (
            {"snapshots": False},
            {"auto": "volume.busy", "image": "volume.busy", "snapshot-image": "plugin.none"},
            {"auto": "volume.busy", "image": "volume.busy", "snapshot-image": "plugin.none"},
            STATIC,
        ),
        (
            {"snapshots": False, "mounted": False},
            {"auto": "offline", "image": "offline", "snapshot-image": "plugin.none"},
            {"auto": "offline", "image": "offline", "snapshot-image": "plugin.none"},
            {"auto": "offline", "image": "offline"},
        ),
    ],
    ids=["in use", "in use, and no snapshot can be made", "not in use, and no snapshot can be made"],
)
@pytest.mark.parametrize("system", SYSTEMS)
def test_what_each_name_does(backed_up, system, case, linux, aix, others):
    expected = {"linux": linux, "aix": aix}.get(system, others)

    assert {name: backed_up(system, request, **case) for name, request in requests(system).items()} == expected


@pytest.mark.parametrize(
    ("system", "how"),
    [
        ("linux", "static remount"),
        ("aix", "static remount"),
        ("hp-ux11", "static remount"),
        ("sunos5", "static remount"),
    ],
)
def test_static_is_by_the_method_of_the_system(backed_up, system, how):
    assert backed_up(system, BackupRequest("", mode=Mode.STATIC)) == how
    assert backed_up(system, requests(system)["image"], snapshot_provider="none") == how


@pytest.mark.parametrize("system", SYSTEMS)
def test_dynamic_is_what_was_asked_for(backed_up, system):
    assert backed_up(system, requests(system)["image"], mode=Mode.DYNAMIC) == "dynamic"
