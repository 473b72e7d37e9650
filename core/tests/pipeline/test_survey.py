"""A map is believed as a whole or not at all; in doubt the whole volume is taken, and it is said why."""

import os
import re

import attrs
import pytest

from holdstill.errors import AmbiguousProvider, ReadFault, StructureFault
from holdstill.model.blockmap import BlockMap, WholeVolume
from holdstill.model.extents import Extents, union_of
from holdstill.model.image import Audit
from holdstill.model.volume import FilesystemFacts
from holdstill.pipeline.survey import survey
from holdstill.plugins.hookspecs import API, hookimpl
from holdstill.plugins.registry import Plugins
from holdstill.spi.provider import ProviderInfo
from holdstill_testing.fakes import toy_filesystem
from holdstill_testing.fakes.memory_volume import MemoryVolume

BLOCK = 4096
USED = [3, 4, 5, 700, 1999]


class Toy:
    """The toy file system as a plugin; ``claim`` takes the place of what it would say."""

    API = API

    def __init__(self, name="toy", claim=None, facts=None):
        self.name, self.claim, self.facts = name, claim, facts

    @hookimpl
    def provider_info(self):
        return ProviderInfo(self.name, "", filesystems=("toyfs",))

    @hookimpl
    def recognise(self, reader):
        return self.facts or toy_filesystem.recognise(reader)

    @hookimpl
    def enumerate_used_blocks(self, reader, facts):
        return self.claim or toy_filesystem.enumerate_used_blocks(reader, facts)


@pytest.fixture
def volume():
    return MemoryVolume(toy_filesystem.make_image(2000, USED) + b"tail")


@pytest.fixture
def surveyed(tmp_path, volume):
    """What a survey with these plugins finds: the result and its map as one set."""

    def look(*plugins, gap_size=None, volume=volume):
        with survey(
            Plugins.of(*plugins), volume.open_reader(exclusive=False), volume.facts, gap_size, tmp_path
        ) as found:
            assert list(found.windows()) == list(found.windows())
            assert found.used_size == union_of(found.windows()).total
            return found, union_of(found.windows())

    yield look
    assert list(tmp_path.iterdir()) == []


def test_the_used_blocks(surveyed):
    found, used = surveyed(Toy())
    assert used == union_of(Extents.of((block * BLOCK, BLOCK)) for block in [0, *USED])
    assert (found.block_size, found.whole_volume_because) == (BLOCK, None)
    assert found.filesystem == FilesystemFacts("toyfs")


def test_the_notes_of_the_map_are_kept(surveyed):
    found, used = surveyed(Toy(claim=BlockMap(512, [Extents.of((0, 512))], ("the journal was replayed",))))
    assert found.notes == ("the journal was replayed",)
    assert (found.block_size, list(used)) == (512, [(0, 512)])


def test_a_last_block_past_the_end_is_cut(surveyed, volume):
    size = len(volume.data)
    last = size // BLOCK * BLOCK
    _, used = surveyed(Toy(claim=BlockMap(BLOCK, [Extents.of((last, BLOCK))])))
    assert list(used) == [(last, size - last)]


def breaking_off(error):
    yield Extents.of((0, BLOCK), (2 * BLOCK, BLOCK))
    yield Extents.of((4 * BLOCK, BLOCK))
    raise error


DOUBTS = {
    "damaged": (breaking_off(StructureFault("group 7 is damaged")), "the block map cannot be read: group 7 is damaged"),
    "unreadable": (breaking_off(ReadFault("bad sector", offset=0, length=1)), "cannot be read: bad sector"),
    "a bug": (breaking_off(KeyError("x")), "plugin toy of this process: the block map is broken: 'x'"),
    "back": ([Extents.of((8192, 1)), Extents.of((0, 1))], "plugin toy of this process: .* goes back to offset 0"),
    "overlap": ([Extents.of((0, 8192)), Extents.of((4096, 1))], "plugin toy of this process: .* goes back"),
    "outside": ([Extents.of((0, 1 << 40))], "plugin toy of this process: .* claims bytes up to"),
    "empty": ([], "says that nothing is used"),
}


@pytest.mark.parametrize("doubt", DOUBTS)
def test_a_map_in_doubt_is_the_whole_volume(surveyed, volume, doubt):
    windows, said = DOUBTS[doubt]
    found, used = surveyed(Toy(claim=BlockMap(BLOCK, windows, ("a note",))))
    assert used == Extents.whole(len(volume.data))
    assert found.notes == ()
    assert re.search(said, found.whole_volume_because)


def test_a_plugin_that_does_not_know(surveyed, volume):
    found, used = surveyed(Toy(claim=WholeVolume("an unknown feature, 0x40")))
    assert found.whole_volume_because == "an unknown feature, 0x40"
    assert used == Extents.whole(len(volume.data))
    assert found.block_size == volume.facts.logical_sector


def test_everything_was_asked_for(surveyed, volume):
    found, used = surveyed(Toy(), gap_size=0)
    assert "gap size 0" in found.whole_volume_because
    assert found.filesystem == FilesystemFacts("toyfs")
    assert used == Extents.whole(len(volume.data))


def test_nothing_is_installed_that_could_help(surveyed, volume):
    found, used = surveyed()
    assert found.whole_volume_because.endswith("install holdstill-filesystems")
    assert used == Extents.whole(len(volume.data))


def test_nothing_is_recognised(surveyed):
    found, _ = surveyed(Toy(), volume=MemoryVolume(bytes(100_000)))
    assert found.whole_volume_because == "it holds no file system that an installed plugin recognises"
    assert found.filesystem is None


def test_what_the_platform_knew_is_said_where_no_plugin_reads_it(surveyed, volume):
    volume.facts = attrs.evolve(volume.facts, filesystem=FilesystemFacts("ext4", block_size=1024))
    found, used = surveyed()
    assert found.whole_volume_because == (
        "no installed plugin reads the used blocks of ext4; install holdstill-filesystems"
    )
    assert (found.filesystem.name, found.block_size) == ("ext4", 1024)
    assert used == Extents.whole(len(volume.data))


def test_a_signature_that_cannot_be_read(surveyed, volume):
    broken = MemoryVolume(bytes(volume.data), unreadable=Extents.of((0, 512)))
    found, used = surveyed(Toy(), volume=broken)
    assert "the range cannot be read" in found.whole_volume_because
    assert used == Extents.whole(len(broken.data))


def test_two_who_claim_the_volume_are_no_doubt_but_an_error(surveyed):
    with pytest.raises(AmbiguousProvider, match=r"plugin one of .* and plugin two of"):
        surveyed(Toy("one"), Toy("two"))


def test_a_volume_of_no_bytes(surveyed):
    found, used = surveyed(volume=MemoryVolume(b""))
    assert not used
    assert found.whole_volume_because


def test_an_interrupt_leaves_no_open_file(tmp_path, volume):
    before = len(os.listdir("/proc/self/fd"))
    plugin = Toy(claim=BlockMap(BLOCK, breaking_off(KeyboardInterrupt())))
    with pytest.raises(KeyboardInterrupt):
        survey(Plugins.of(plugin), volume.open_reader(exclusive=False), volume.facts, None, tmp_path)
    assert len(os.listdir("/proc/self/fd")) == before


class TestAudit:
    """Somebody else than the reader of the map is asked about what the map leaves out."""

    def look(self, tmp_path, volume, audit):
        with survey(
            Plugins.of(Toy()), volume.open_reader(exclusive=False), volume.facts, None, tmp_path, audit
        ) as found:
            return found, union_of(found.windows())

    def test_the_evidence_is_kept(self, tmp_path, volume):
        asked = []

        def confirm(unused):
            asked.append(unused)
            return Audit("the toy", len(unused), unused.total)

        found, used = self.look(tmp_path, volume, confirm)

        assert found.whole_volume_because is None
        assert found.audit == Audit("the toy", len(asked[0]), asked[0].total)
        assert asked[0] == used.complement(volume.facts.size)

    def test_a_map_that_is_contradicted_is_not_believed(self, tmp_path, volume):
        def contradict(unused):
            raise StructureFault("it calls a byte unused that is not")

        found, used = self.look(tmp_path, volume, contradict)

        assert "is not believed" in found.whole_volume_because
        assert "a byte unused that is not" in found.whole_volume_because
        assert found.audit is None
        assert used == Extents.whole(volume.facts.size)

    def test_nobody_to_ask(self, tmp_path, volume):
        found, _ = self.look(tmp_path, volume, lambda _: None)

        assert found.whole_volume_because is None
        assert found.audit is None
