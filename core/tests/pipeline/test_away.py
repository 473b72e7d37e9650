"""What is on another machine is found, held and let go there, and written down here."""

import attrs
import pytest

from holdstill.engine import Engine
from holdstill.errors import MachineLost, NoProvider, UsageError
from holdstill.held.journal import Journal
from holdstill.held.state import StateFolder
from holdstill.model.requests import BackupRequest
from holdstill.model.volume import Mode
from holdstill.pipeline import away
from holdstill.pipeline.finding import find
from holdstill.plugins.registry import Plugins
from holdstill.spi.conversation import Conversation
from holdstill.spi.holds import Undone, UndoState
from holdstill_testing.fakes.answering_plugin import Plugin
from holdstill_testing.fakes.memory_machine import MemoryMachine
from holdstill_testing.fakes.memory_target import MemoryTarget
from holdstill_testing.fakes.memory_volume import MemoryVolume


@pytest.fixture
def machine():
    return MemoryMachine("ssh://host", "aix")


def installed(machine, **answers):
    platform = Plugin("platforms", applies_here=False, systems=["aix"], **answers)
    return Plugins.of(Plugin("remote", schemes=["ssh"], reach=machine), platform), platform


def test_a_url_is_a_volume_of_its_machine(machine):
    volume = MemoryVolume(b"", "/dev/rlv")
    plugins, platform = installed(machine, identify=volume)

    assert find(plugins, "ssh://host/dev/rlv") is volume
    assert platform.asked == [("identify", "/dev/rlv")]


@pytest.mark.parametrize("url", ["ssh://", "ssh://host", "ssh://host/", "ssh:///dev/rlv"])
def test_a_url_that_names_no_volume(machine, url):
    with pytest.raises(UsageError, match="it names no volume of a machine"):
        find(installed(machine)[0], url)


def test_a_system_that_nobody_knows(machine):
    with pytest.raises(NoProvider, match="ssh://host/dev/x: no installed plugin knows the volumes of aix"):
        find(installed(machine)[0], "ssh://host/dev/x")


def left_held(tmp_path, machine):
    """The journal of a run that is dead."""
    state = StateFolder(tmp_path)
    journal = Journal.begin(state.journals)
    away.holds(machine, journal).hold("static.read_only", {"place": "/data"}, by_hand="mount -o remount,rw /data")
    journal.close()
    return journal.run


def recovered(tmp_path, plugins):
    return Engine(plugins, str(tmp_path)).recover(Conversation())


def test_what_is_held_there_is_undone_there(tmp_path, machine):
    run = left_held(tmp_path, machine)
    plugins, platform = installed(machine, undo=Undone(UndoState.REMOVED))

    (undone,) = recovered(tmp_path, plugins)

    assert undone.gone
    assert undone.by_hand == "on ssh://host: mount -o remount,rw /data"
    assert platform.asked == [("undo", "static.read_only", 1, {"place": "/data"})]
    assert machine.runs == [run]
    assert recovered(tmp_path, plugins) == []


def test_what_still_works_there_is_waited_for(tmp_path):
    machine = MemoryMachine("ssh://host", "aix", working="umount /data")
    left_held(tmp_path, machine)
    plugins, platform = installed(machine, undo=Undone(UndoState.REMOVED))

    (undone,) = recovered(tmp_path, plugins)

    assert (undone.state, undone.detail) == (UndoState.BUSY, "umount /data of that run is still at work on ssh://host")
    assert platform.asked == []


def test_what_cannot_be_reached_stays_held(tmp_path, machine):
    def lost(*_):
        raise MachineLost("the connection ended", subject="ssh://host")

    left_held(tmp_path, machine)
    plugins, _ = installed(machine, undo=lost)

    (undone,) = recovered(tmp_path, plugins)

    assert (undone.state, undone.detail) == (UndoState.UNKNOWN, "ssh://host: the connection ended")
    (undone,) = recovered(tmp_path, installed(machine, undo=Undone(UndoState.ABSENT))[0])
    assert undone.gone


def test_an_image_is_of_the_machine_and_of_the_volume_by_its_url(tmp_path, machine):
    volume = MemoryVolume(bytes(range(256)) * 256, "/dev/rlv")
    volume.machine = machine
    volume.facts = attrs.evolve(
        volume.facts, path="ssh://host/dev/rlv", identity="ssh://host/dev/rlv", device="/dev/rlv"
    )
    remote = Plugin("remote", schemes=["ssh"], reach=machine)
    storage = Plugin("storage", schemes=["memory"], storage_target=MemoryTarget())
    engine = Engine(Plugins.of(remote, Plugin("platforms", systems=["aix"], identify=volume), storage), str(tmp_path))
    repository = "memory://"
    engine.init(repository)

    result = engine.backup(repository, BackupRequest("ssh://host/dev/rlv", mode=Mode.OFFLINE), Conversation())

    assert (result.host, result.volume.path) == ("host", "ssh://host/dev/rlv")
    assert engine.show(repository, "latest", "ssh://host/dev/rlv").id == result.image
    assert "/dev/rlv" not in result.volume.names
