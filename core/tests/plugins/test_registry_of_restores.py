"""Who has a say in a restore, a volume's manager, an undo, a check: one plugin each, or all that apply."""

import pytest

from holdstill.errors import AmbiguousProvider, NoProvider, PluginError
from holdstill.model.compatibility import CompatTable, Verdict
from holdstill.model.fsck import FilesystemCheck, FilesystemState
from holdstill.model.managed import Managed
from holdstill.model.volume import FilesystemFacts
from holdstill.plugins.hookspecs import API, hookimpl
from holdstill.plugins.registry import Plugins
from holdstill.spi.activation import Activation
from holdstill.spi.checks import HostCheck, Settled
from holdstill.spi.compatibility import Compatibility
from holdstill.spi.holds import Undone, UndoState
from holdstill.spi.manager import Manager
from holdstill.spi.newvolume import NewVolume
from holdstill.spi.provider import ProviderInfo
from holdstill.spi.restore import RestoreTarget
from holdstill.spi.runner import NoRunner
from holdstill.spi.still import HoldRequest
from holdstill_testing.fakes.answering_plugin import Plugin
from holdstill_testing.fakes.memory_machine import MemoryMachine
from holdstill_testing.fakes.memory_volume import MemoryReader, MemoryVolume
from holdstill_testing.fakes.recorded_holds import RecordedHolds

READER = MemoryReader(MemoryVolume(bytes(64 << 10)))


def raises(error):
    def answer(*arguments):
        raise error

    return answer


class Part(RestoreTarget):
    def objections(self):
        return ()


def test_everybody_who_has_a_say_in_a_restore():
    one, two, image, volume = Part(), Part(), object(), MemoryVolume(b"")
    plugins = Plugins.of(Plugin("b", restore=two), Plugin("a", restore=one), Plugin("silent"))
    assert plugins.restore(image, volume) == [one, two]
    with pytest.raises(PluginError, match="restore returned bool"):
        Plugins.of(Plugin("odd", restore=True)).restore(image, volume)


class Speaker(Manager):
    def objections(self, mode, *, as_raw):
        return ()

    def kept(self):
        return Managed("toy", "1")


class Made(NewVolume):
    path = "/dev/toy"

    def keep(self):
        pass

    def remove(self):
        pass


def test_one_speaks_for_the_volume_manager():
    volume, speaker = MemoryVolume(b""), Speaker()
    assert Plugins.of(Plugin("silent")).manage(volume, NoRunner()) is None
    assert Plugins.of(Plugin("silent"), Plugin("toy", manage=speaker)).manage(volume, NoRunner()) is speaker
    with pytest.raises(AmbiguousProvider, match="both claim to manage"):
        Plugins.of(Plugin("a", manage=speaker), Plugin("b", manage=Speaker())).manage(volume, NoRunner())


def test_a_volume_is_made_by_who_knows_the_name():
    made, request = Made(), HoldRequest(run="r", holds=RecordedHolds())
    toy = Plugin("toy", create_volume=lambda name, size: made if name.startswith("toy/") else None)
    plugins = Plugins.of(Plugin("silent"), toy)
    assert plugins.create_volume("toy/x", 5, request) is made
    with pytest.raises(NoProvider, match="vg/x: no installed plugin makes volumes of this name"):
        plugins.create_volume("vg/x", 5, request)


class Woken(Activation):
    said = "woken"

    def put_back(self):
        pass


def test_a_volume_is_activated_by_who_can():
    woken, request = Woken(), HoldRequest(run="r", holds=RecordedHolds())
    toy = Plugin("toy", activate=lambda path: woken if path == "/dev/toy/x" else None)
    plugins = Plugins.of(Plugin("silent"), toy)
    assert plugins.activate("/dev/toy/x", request) is woken
    assert plugins.activate("/dev/toy/y", request) is None
    with pytest.raises(PluginError, match="activate returned bool"):
        Plugins.of(Plugin("odd", activate=True)).activate("/dev/toy/x", request)


class Rules(Compatibility):
    def answer(self, question):
        return Verdict(True, "")

    def table(self):
        return CompatTable((), ())


class NoRules:
    API = API

    @hookimpl
    def provider_info(self):
        return ProviderInfo("lawless", "")


def test_the_rules_are_one_plugins():
    rules = Rules()
    assert Plugins.of(Plugin("a", compatibility=rules), NoRules()).compatibility() is rules
    with pytest.raises(NoProvider, match="knows which client may image what"):
        Plugins.of(NoRules()).compatibility()
    with pytest.raises(AmbiguousProvider, match="both claim to know the rules"):
        Plugins.of(Plugin("a", compatibility=rules), Plugin("b", compatibility=rules)).compatibility()


def test_a_file_system_is_checked_by_who_knows_it():
    volume, clean = MemoryVolume(b"", "/dev/x"), FilesystemCheck(FilesystemState.CLEAN, "nothing")
    knows = Plugin("b", check_filesystem=lambda volume, name: clean if name == "ext4" else None)
    plugins = Plugins.of(Plugin("a"), knows)

    assert plugins.check_filesystem(volume, "ext4", NoRunner()) is clean
    unknown = plugins.check_filesystem(volume, "zfs", NoRunner())
    assert (unknown.state, unknown.sound) == (FilesystemState.UNCHECKED, False)
    volume.machine = MemoryMachine("ssh://host", "aix")
    assert plugins.check_filesystem(volume, "ext4", NoRunner()).state is FilesystemState.UNCHECKED


def test_what_was_held_is_undone_by_who_knows_the_kind():
    gone = Undone(UndoState.REMOVED, "the snapshot is gone")
    knows = Plugin("lvm2", undo=lambda kind, version, data: gone if kind == "lvm2.snapshot" else None)
    elsewhere = Plugin("jfs2", applies_here=False, undo=Undone(UndoState.ABSENT))
    plugins = Plugins.of(elsewhere, Plugin("freezer"), knows)
    assert plugins.undo("lvm2.snapshot", 1, {"name": "x"}) == gone
    assert knows.asked == [("undo", "lvm2.snapshot", 1, {"name": "x"})]
    assert elsewhere.asked == []


def test_what_nobody_can_undo_stays_held():
    answer = Plugins.of(Plugin("freezer")).undo("lvm2.snapshot", 1, {})
    assert answer == Undone(UndoState.UNKNOWN, "no installed plugin knows how to undo lvm2.snapshot")
    with pytest.raises(PluginError, match="undo returned bool"):
        Plugins.of(Plugin("odd", undo=True)).undo("x", 1, {})


def test_the_remedy_for_an_installed_but_broken_helper(install, monkeypatch):
    install("holdstill-filesystems", "filesystems")
    monkeypatch.setenv("HOLDSTILL_BLOCK", "filesystems")
    reason = Plugins.installed().enumerate_used_blocks(READER, FilesystemFacts("ext4")).reason
    assert reason.endswith(
        "holdstill-filesystems is installed, but its plugin cannot be used: switched off by HOLDSTILL_BLOCK"
    )


# --- check_host ---------------------------------------------------------------------------------


def test_every_plugin_that_applies_is_asked_what_it_takes_for_so():
    check = HostCheck("a", "ls", "b", Settled.UNASKED)
    plugins = Plugins.of(
        Plugin("one", check_host=[check]), Plugin("two", check_host=[]), Plugin("aix", applies_here=False, check_host=1)
    )

    assert plugins.check_host(NoRunner()) == [("one", check)]
    with pytest.raises(PluginError, match="check_host returned"):
        Plugins.of(Plugin("bad", check_host=["no check"])).check_host(NoRunner())
