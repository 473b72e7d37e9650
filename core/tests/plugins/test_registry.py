"""One plugin is chosen for each job, alone; what it answers is checked; who is at fault is named."""

import attrs
import pytest

from holdstill.errors import AmbiguousProvider, NoProvider, PluginError, StructureFault, VolumeDenied
from holdstill.model.blockmap import BlockMap, WholeVolume
from holdstill.model.extents import Extents
from holdstill.model.volume import FilesystemFacts, Mode
from holdstill.plugins.hookspecs import hookimpl
from holdstill.plugins.registry import Plugins
from holdstill.spi.holds import Undone, UndoState
from holdstill.spi.runner import NoRunner
from holdstill.spi.still import HoldRequest
from holdstill.spi.volume import Volume
from holdstill_testing.fakes.answering_plugin import Plugin
from holdstill_testing.fakes.memory_machine import MemoryMachine
from holdstill_testing.fakes.memory_target import MemoryTarget
from holdstill_testing.fakes.memory_volume import MemoryReader, MemoryVolume
from holdstill_testing.fakes.recorded_holds import RecordedHolds

READER = MemoryReader(MemoryVolume(bytes(64 << 10)))
TOY = FilesystemFacts("toyfs", block_size=4096)


def raises(error):
    def answer(*arguments):
        raise error

    return answer


# --- settings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "said", "next_step"),
    [
        ("jsf2.extents", "no provider called 'jsf2' is installed, so jsf2.extents would", "did you mean jfs2.extents"),
        ("jfs2.extent", "jfs2 has no setting 'extent'", "did you mean jfs2.extents"),
        ("plain.extents", "nothing can be set of plain", "there is: none"),
        ("lvm2.thin", "no provider called 'lvm2' is installed", "install holdstill-lvm2"),
        ("nobody.at-all", "no provider called 'nobody'", "there is: jfs2.extents, jfs2.snapshot"),
    ],
)
def test_a_setting_that_nobody_has(setting, said, next_step):
    plugins = Plugins.of(Plugin("jfs2", settings=["extents", "snapshot"]), Plugin("plain"))
    assert plugins.unsettable(["jfs2.extents"]) == []
    (error,) = plugins.unsettable(["jfs2.snapshot", setting])
    assert said in str(error)
    assert next_step in error.next_step


# --- identify ------------------------------------------------------------------------------------


def test_identify_asks_the_platforms_that_apply_here():
    volume = MemoryVolume(b"")
    elsewhere = Plugin("aix", applies_here=False, identify=MemoryVolume(b""))
    plugins = Plugins.of(elsewhere, Plugin("linux", identify=volume), Plugin("indifferent"))
    assert plugins.identify("/dev/x") is volume
    assert elsewhere.asked == []


def test_identify_is_none_where_nobody_claims_the_path():
    assert Plugins.of().identify("/x") is None
    assert Plugins.of(Plugin("linux")).identify("/x") is None


def test_two_platforms_that_claim_one_path_are_named():
    one, two = Plugin("one", identify=MemoryVolume(b"")), Plugin("two", identify=MemoryVolume(b""))
    with pytest.raises(AmbiguousProvider, match=r"plugin one of .* and plugin two of .* both claim /dev/x"):
        Plugins.of(one, two).identify("/dev/x")


class Factless(Volume):
    open_reader = open_writer = None


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("a string", "identify returned str, not "),
        (Factless(), "identify returned NoneType, not VolumeFacts"),
        (raises(ZeroDivisionError("oops")), "identify failed: ZeroDivisionError: oops"),
        (raises(PermissionError("root")), "identify failed: PermissionError: root"),
    ],
)
def test_whose_fault_it_is(answer, said):
    with pytest.raises(PluginError, match=said) as caught:
        Plugins.of(Plugin("odd", identify=answer)).identify("/x")
    assert caught.value.subject == "plugin odd of this process"


def test_our_own_errors_go_through_as_they_are():
    with pytest.raises(VolumeDenied, match="root is needed"):
        Plugins.of(Plugin("linux", identify=raises(VolumeDenied("root is needed")))).identify("/x")


class Twice(Plugin):
    @hookimpl(specname="identify")
    def identify_again(self, path):
        return self.answer("identify", path)


def test_a_plugin_has_one_answer():
    with pytest.raises(PluginError, match="implements identify twice"):
        Plugins.of(Twice("eager", identify=MemoryVolume(b""))).identify("/x")


# --- other machines ------------------------------------------------------------------------------


def test_a_machine_is_reached_by_who_has_the_scheme():
    machine = MemoryMachine("ssh://host", "aix")
    knows = Plugin("remote", schemes=["ssh"], reach=machine)
    plugins = Plugins.of(knows, Plugin("other", schemes=["telnet"], reach=MemoryMachine("x", "x")))

    assert plugins.reach("ssh://host", NoRunner()) is machine
    assert knows.asked == [("reach", "ssh://host")]


@pytest.mark.parametrize("plugins", [Plugins.of(), Plugins.of(Plugin("remote", schemes=["ssh"]))])
def test_a_machine_that_nobody_reaches(plugins):
    with pytest.raises(NoProvider, match="ssh://: no installed plugin reaches such machines"):
        plugins.reach("ssh://host", NoRunner())


def test_what_is_on_another_machine_is_asked_of_who_serves_its_system():
    volume, gone = MemoryVolume(b"", "/dev/x"), Undone(UndoState.REMOVED)
    machine = volume.machine = MemoryMachine("ssh://host", "sunos5")
    here, there = (
        Plugin("here", modes=["static"]),
        Plugin("there", systems=["aix", "sunos"], identify=volume, undo=gone),
    )
    there.info = attrs.evolve(there.info, modes=("static",))
    plugins = Plugins.of(here, there)

    assert plugins.identify("/dev/x", machine.runner, machine) is volume
    assert plugins.undo("kind", 1, {}, machine=machine) == gone
    assert plugins.manage(volume, NoRunner()) is None
    with pytest.raises(PluginError, match="there of this process: snapshot returned NoneType"):
        plugins.snapshot(volume, HoldRequest("run", RecordedHolds(), mode=Mode.STATIC))
    assert here.asked == []
    assert plugins.identify("/dev/x", machine.runner, MemoryMachine("ssh://host", "linux")) is None


# --- list_volumes --------------------------------------------------------------------------------


def test_volumes_of_all_platforms_that_apply():
    one, two = MemoryVolume(b"", "/1").facts, MemoryVolume(b"", "/2").facts
    plugins = Plugins.of(Plugin("a", list_volumes=[one]), Plugin("b", list_volumes=[two]))
    assert plugins.list_volumes() == [one, two]


@pytest.mark.parametrize("answer", [None, {"x": 1}, ["/dev/sda"]])
def test_volumes_are_facts(answer):
    with pytest.raises(PluginError, match="list_volumes returned"):
        Plugins.of(Plugin("a", list_volumes=answer)).list_volumes()


def test_no_platform(monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")
    with pytest.raises(NoProvider) as caught:
        Plugins.of(Plugin("aix", applies_here=False)).list_volumes()
    assert caught.value.next_step == "install holdstill-platforms"


# --- recognise and enumerate ---------------------------------------------------------------------


def test_recognise_believes_one_or_several_that_agree():
    assert Plugins.of(Plugin("a")).recognise(READER) is None
    assert Plugins.of(Plugin("a"), Plugin("b", recognise=TOY)).recognise(READER) == TOY
    assert Plugins.of(Plugin("a", recognise=TOY), Plugin("b", recognise=attrs.evolve(TOY))).recognise(READER) == TOY


def test_recognise_puts_together_what_several_know():
    one = FilesystemFacts("toyfs", block_size=4096, detail="old")
    other = FilesystemFacts("toyfs", uuid="1-2", detail="of a pool")
    plugins = Plugins.of(Plugin("a", recognise=one), Plugin("b", recognise=other))
    assert plugins.recognise(READER) == FilesystemFacts("toyfs", "", "1-2", 4096, "old; of a pool")


def test_recognise_does_not_choose_between_two_answers():
    with pytest.raises(AmbiguousProvider, match=r"plugin a of .* and plugin b of"):
        Plugins.of(Plugin("a", recognise=TOY), Plugin("b", recognise=FilesystemFacts("xfs"))).recognise(READER)


def test_the_one_who_reads_this_file_system_is_asked_alone():
    claim = BlockMap(4096, [Extents.of((0, 4096)), Extents.of((4096, 4096))], ("a note",))
    toy = Plugin("toy", filesystems=("toyfs",), enumerate_used_blocks=claim)
    other = Plugin("ext", filesystems=("ext4",), enumerate_used_blocks=raises(AssertionError()))
    answer = Plugins.of(other, toy).enumerate_used_blocks(READER, TOY)
    assert (answer.block_size, answer.notes) == (4096, ("a note",))
    assert list(answer.windows) == [Extents.of((0, 8192))]
    assert toy.asked == [("enumerate_used_blocks", READER, TOY)]
    assert other.asked == []


def test_nobody_reads_it_so_the_whole_volume_and_what_to_install():
    reason = Plugins.of().enumerate_used_blocks(READER, FilesystemFacts("ext4")).reason
    assert reason == "no installed plugin reads the used blocks of ext4; install holdstill-filesystems"
    assert Plugins.of().enumerate_used_blocks(READER, FilesystemFacts("zfs")).reason.endswith("of zfs")


def test_two_who_read_it_are_named():
    with pytest.raises(AmbiguousProvider, match=r"plugin a of .* and plugin b of .* both claim to read"):
        Plugins.of(Plugin("a", filesystems=("toyfs",)), Plugin("b", filesystems=("toyfs",))).enumerate_used_blocks(
            READER, TOY
        )


def test_a_plugin_may_not_know():
    toy = Plugin("toy", filesystems=("toyfs",), enumerate_used_blocks=WholeVolume("too new"))
    assert Plugins.of(toy).enumerate_used_blocks(READER, TOY) == WholeVolume("too new")


def broken_off():
    yield Extents.of((0, 4096))
    raise IndexError("list index out of range")


@pytest.mark.parametrize(
    ("windows", "said"),
    [
        ([Extents.of((8192, 4096)), Extents.of((4096, 4096))], "goes back to offset 4096 after 12288"),
        ([Extents.of((0, 8192)), Extents.of((4096, 4096))], "goes back to offset 4096 after 8192"),
        ([Extents.of((65536, 4096))], "claims bytes up to 69632 of a volume of 65536"),
        ([(0, 4096)], "the block map is broken"),
        (broken_off(), "list index out of range"),
        (None, "the block map is broken"),
    ],
    ids=["back", "overlap", "outside", "no-extents", "breaks-off", "no-stream"],
)
def test_a_map_that_breaks_the_contract_is_its_plugins_fault(windows, said):
    toy = Plugin("toy", filesystems=("toyfs",), enumerate_used_blocks=BlockMap(4096, windows))
    answer = Plugins.of(toy).enumerate_used_blocks(READER, TOY)
    with pytest.raises(PluginError, match=said) as caught:
        list(answer.windows)
    assert caught.value.subject == "plugin toy of this process"


def test_a_structure_fault_in_the_stream_stays_one():
    toy = Plugin(
        "toy", filesystems=("toyfs",), enumerate_used_blocks=BlockMap(4096, map(raises(StructureFault("x")), [1]))
    )
    with pytest.raises(StructureFault):
        list(Plugins.of(toy).enumerate_used_blocks(READER, TOY).windows)


def test_a_map_has_a_block_size():
    toy = Plugin("toy", filesystems=("toyfs",), enumerate_used_blocks=BlockMap(0, []))
    with pytest.raises(PluginError, match="blocks of 0 bytes"):
        Plugins.of(toy).enumerate_used_blocks(READER, TOY)


def test_why_nothing_is_recognised():
    assert Plugins.of().unrecognised() == "no installed plugin recognises file systems; install holdstill-filesystems"
    assert "that an installed plugin recognises" in Plugins.of(Plugin("a")).unrecognised()


# --- targets and restore -------------------------------------------------------------------------


def test_a_target_by_its_scheme_a_bare_path_is_a_file():
    target = MemoryTarget()
    ours, theirs = Plugin("ours", schemes=("file",), storage_target=target), Plugin("theirs", schemes=("tape",))
    plugins = Plugins.of(ours, theirs)
    for url in ("/backup/repo", "file:///backup/repo", "FILE:///backup/repo", "relative"):
        assert plugins.storage_target(url) is target
    assert [url for _, url in ours.asked] == ["/backup/repo", "file:///backup/repo", "FILE:///backup/repo", "relative"]
    with pytest.raises(PluginError, match="storage_target returned NoneType"):
        plugins.storage_target("tape://1")


def test_no_target_says_what_to_install_and_no_secrets():
    with pytest.raises(NoProvider, match="memory://: no installed plugin opens such targets") as caught:
        Plugins.of().storage_target("memory://user:secret@host/")
    assert caught.value.next_step == "install holdstill-storage"
    assert "secret" not in str(caught.value)
    with pytest.raises(NoProvider) as caught:
        Plugins.of().storage_target("gopher://x")
    assert "holdstill providers" in caught.value.next_step


def test_two_who_open_a_scheme_are_named():
    with pytest.raises(AmbiguousProvider, match="both claim tape://"):
        Plugins.of(Plugin("a", schemes=("tape",)), Plugin("b", schemes=("tape",))).storage_target("tape://1")


def test_workers_by_their_scheme():
    plugins = Plugins.of(Plugin("crew", schemes=("crew",)))
    with pytest.raises(PluginError, match="workforce returned NoneType"):
        plugins.workforce("crew://here")
    with pytest.raises(NoProvider, match="dask://: no installed plugin reaches such workers") as caught:
        Plugins.of().workforce("dask://host:8786")
    assert caught.value.next_step == "install holdstill-dask"
