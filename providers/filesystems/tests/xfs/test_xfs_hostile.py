"""Every byte of an XFS may be hostile: the honest map or the whole volume, in bounded time and memory."""

from __future__ import annotations

import re
import struct

import pytest

from holdstill.model.extents import Extents, union_of
from holdstill_filesystems import plugin
from holdstill_testing.destruction import answer, bounded, mutations
from holdstill_testing.torture import dice, rounds
from holdstill_testing.xfs_forge import sealed

pytestmark = pytest.mark.root

#: what the parser may hold beside the process itself, bytes, and how often it may read, for the small images here
MEMORY, READS = 64 << 20, 20_000


def structures(image):
    """Where everything lies that the parser reads, one run for each structure."""
    block, _, in_group, groups = image.geometry()
    sector = image.fields("sb 0", "sectsize")["sectsize"]
    places = [(0, sector)]
    for group in range(groups):
        start = group * in_group * block
        places += [(start + index * sector, sector) for index in (1, 2, 3)]
        for tree in ("bno", "cnt"):
            found = image.fields(f"agf {group}", f"{tree}root", f"{tree}level")
            blocks = [found[f"{tree}root"]]
            if found[f"{tree}level"] == 2:
                told = image.db(f"agf {group}", f"addr {tree}root", "p ptrs")
                blocks += [int(place) for place in re.findall(r"\d+:(\d+)", told.partition("=")[2])]
            places += [(start + place * block, block) for place in blocks]
    return places


def apart(places):
    """As a set in which each structure is a run of its own: the last byte of each is left out."""
    return union_of(Extents.of((at, length - 1)) for at, length in places)


@pytest.mark.parametrize("kind", ["default", "shattered", "frozen", "v4", "v4-shattered"])
@pytest.mark.parametrize("what", ["structures", "log"])
def test_changed_images_give_the_honest_map_or_none(made_xfs, kind, what):
    """Changes that matter are found; those that do not (padding, a label) change nothing."""
    image = made_xfs(kind)
    honest = image.map(plugin)
    start, length = image.log()
    regions = apart(structures(image)) if what == "structures" else Extents.of((start, min(length, 300 * 512)))
    refused = 0
    with bounded(MEMORY):
        for reader in mutations(image.path, regions, f"xfs/{kind}/{what}", rounds(400)):
            found = answer(reader, plugin)
            assert reader.reads < READS
            refused += isinstance(found, str)
            assert isinstance(found, str) or found == honest, reader.patches
    assert refused or what == "log"


@pytest.mark.parametrize("kind", ["shattered", "frozen"])
def test_changed_structures_with_checksums_that_fit(made_xfs, kind):
    """A hostile hand can compute checksums too; but no single structure is believed alone."""
    image = made_xfs(kind)
    honest = image.map(plugin)
    places = structures(image)
    for reader in mutations(image.path, apart(places), f"xfs/{kind}/sealed", rounds(400)):
        for at, length in {
            place for place in places for offset, _ in reader.patches if place[0] <= offset < sum(place)
        }:
            if at + length <= reader.size:
                data = reader.read(at, length)
                if data[:4] in {b"XFSB", b"XAGF", b"XAGI", b"XAFL", b"AB3B", b"AB3C"}:
                    reader.patch(at, sealed(data))
        found = answer(reader, plugin)
        assert isinstance(found, str) or found == honest, reader.patches


def test_a_flipped_bit_under_a_checksum_is_never_a_map(made_xfs, hurt_xfs, said):
    image = made_xfs("shattered")
    chance = dice("xfs/flips")
    places = structures(image)
    for _ in range(rounds(500)):
        at, length = chance.choice(places)
        byte = at + chance.randrange(length)
        reader = hurt_xfs("shattered")
        reader.patch(byte, bytes([reader.read(byte, 1)[0] ^ 1 << chance.randrange(8)]))
        assert isinstance(said(reader), str), f"byte {byte}"


# --- features -------------------------------------------------------------------------------------------

KNOWN = {"ro_compat": (212, {0, 1, 2, 3}), "incompat": (216, {0, 1, 2, 3, 5, 6, 7}), "log_incompat": (220, {0})}
NAMES = {
    ("incompat", 4): "needsrepair",
    ("incompat", 8): "metadir",
    ("incompat", 9): "zoned",
    ("incompat", 10): "zone gaps",
}


@pytest.mark.parametrize("word", KNOWN)
@pytest.mark.parametrize("bit", range(32))
def test_a_feature_that_is_not_known_is_the_whole_volume(made_xfs, hurt_xfs, said, word, bit):
    at, known = KNOWN[word]
    with made_xfs("default").path.open("rb") as image:
        sector = bytearray(image.read(512))
    struct.pack_into(">I", sector, at, struct.unpack_from(">I", sector, at)[0] | 1 << bit)

    found = said(hurt_xfs("default", (0, sealed(bytes(sector)))))

    if bit not in known:
        assert NAMES.get((word, bit), f"{word} bit 0x{1 << bit:x}") in found
    elif (word, bit) not in {("incompat", 2), ("ro_compat", 1)}:
        # another UUID, or a tree that the headers would tell of, are found elsewhere
        assert found == made_xfs("default").map(plugin)


@pytest.mark.parametrize(
    ("at", "form", "value", "reason"),
    [
        (100, ">H", 0xB4A3, "only versions 4 and 5"),
        (100, ">H", 0x94A4, "directories of version 1"),
        (100, ">H", 0xB6A4, "shared"),
        (200, ">I", 0x1A, "parent pointers of IRIX"),
        (200, ">I", 0x40008A, "features2 bit 0x400000"),
        (204, ">I", 0x40000A, "features2 bit 0x400000"),
        (179, ">B", 1, "sharing"),
        (126, ">B", 1, "mkfs did not end"),
    ],
)
def test_what_version_4_may_say(hurt_xfs, said, at, form, value, reason):
    assert reason in said(hurt_xfs("v4", (at, struct.pack(form, value))))


@pytest.mark.parametrize(
    ("at", "form", "value"),
    [
        (4, ">I", 0),
        (4, ">I", 1 << 31),
        (4, ">I", 2048),
        (8, ">Q", 0),
        (8, ">Q", 1 << 60),
        (8, ">Q", (1 << 64) - 1),
        (48, ">Q", (1 << 64) - 1),
        (48, ">Q", 1),
        (84, ">I", 0),
        (84, ">I", 0xFFFFFFFF),
        (88, ">I", 0),
        (88, ">I", 0xFFFFFFFF),
        (96, ">I", 0),
        (96, ">I", 0xFFFFFFFF),
        (102, ">H", 0),
        (102, ">H", 1024),
        (102, ">H", 0xFFFF),
        (124, ">B", 0),
        (124, ">B", 255),
        (144, ">Q", 1),
    ],
)
@pytest.mark.parametrize("kind", ["default", "v4"])
def test_hostile_numbers_in_the_superblock(made_xfs, hurt_xfs, said, kind, at, form, value):
    with made_xfs(kind).path.open("rb") as image:
        sector = bytearray(image.read(512))
    struct.pack_into(form, sector, at, value)

    assert isinstance(said(hurt_xfs(kind, (0, sealed(bytes(sector)) if kind == "default" else bytes(sector)))), str)


# --- trees ----------------------------------------------------------------------------------------------


class TestTrees:
    """Of version 4, where no checksum stands in the way."""

    @pytest.fixture
    def tree(self, made_xfs):
        """Where group 1 begins, the roots of its trees, and the leaves of the first (bytes; leaves as blocks)."""
        image = made_xfs("v4-shattered")
        block, _, in_group, _ = image.geometry()
        start = in_group * block
        found = image.fields("agf 1", "bnoroot", "cntroot", "bnolevel", "fllast")
        assert found["bnolevel"] == 2
        told = image.db("agf 1", "addr bnoroot", "p ptrs")
        leaves = [int(place) for place in re.findall(r"\d+:(\d+)", told.partition("=")[2])]
        return start, start + found["bnoroot"] * block, start + found["cntroot"] * block, leaves, found["fllast"]

    def test_a_tree_that_is_its_own_child(self, tree, hurt_xfs, said):
        start, root, _, _, _ = tree
        pointers = root + 16 + 340 * 8
        own = (root - start) // 4096

        assert "metadata overlaps" in said(hurt_xfs("v4-shattered", (pointers, struct.pack(">I", own))))

    def test_a_child_that_two_name(self, tree, hurt_xfs, said):
        _, root, _, leaves, _ = tree
        pointers = root + 16 + 340 * 8

        assert "name the same block" in said(hurt_xfs("v4-shattered", (pointers, struct.pack(">I", leaves[1]))))

    @pytest.mark.parametrize("place", [0, 0xFFFFFFFF, 0x7FFFFFFF])
    def test_a_child_outside(self, tree, hurt_xfs, said, place):
        _, root, _, _, _ = tree
        pointers = root + 16 + 340 * 8

        assert "outside its allocation group" in said(hurt_xfs("v4-shattered", (pointers, struct.pack(">I", place))))

    def test_neighbours_that_do_not_know_each_other(self, tree, hurt_xfs, said):
        start, _, _, leaves, _ = tree

        assert "cannot be true: right" in said(hurt_xfs("v4-shattered", (start + leaves[0] * 4096 + 12, b"\0\0\0\1")))

    def test_a_run_in_one_tree_only(self, tree, hurt_xfs, said):
        """One run begins a block later in the tree by place. Counts stay what they were."""
        start, _, _, leaves, _ = tree
        record = start + leaves[0] * 4096 + 16 + 8 * 8
        reader = hurt_xfs("v4-shattered")
        (place,) = struct.unpack(">I", reader.read(record, 4))
        reader.patch(record, struct.pack(">I", place + 1))

        assert said(reader) == "allocation group 1 has two trees of free space that differ"

    def test_a_run_that_is_too_long_in_both(self, tree, hurt_xfs, said):
        """Both trees call a block free that is used; the header knows how many there should be."""
        start, _, by_length, leaves, _ = tree
        reader = hurt_xfs("v4-shattered")
        (shortest,) = struct.unpack(">I", reader.read(by_length + 16 + 340 * 8, 4))
        for leaf in (leaves[0], shortest):
            at = start + leaf * 4096 + 16 + 12
            (length,) = struct.unpack(">I", reader.read(at, 4))
            reader.patch(at, struct.pack(">I", length + 1))

        assert "free runs (cnt)" in said(reader)

    def test_the_list_of_kept_blocks_names_a_leaf(self, tree, hurt_xfs, said):
        start, _, _, leaves, last = tree
        place = start + 3 * 512 + 4 * last

        assert "metadata overlaps" in said(hurt_xfs("v4-shattered", (place, struct.pack(">I", leaves[0]))))

    def test_the_list_of_kept_blocks_names_a_free_one(self, tree, hurt_xfs, said):
        start, _, _, leaves, last = tree
        reader = hurt_xfs("v4-shattered")
        reader.patch(start + 3 * 512 + 4 * last, reader.read(start + leaves[0] * 4096 + 16, 4))

        assert "is listed as free" in said(reader)

    def test_a_log_that_is_free(self, hurt_xfs, said):
        """The log is said to lie where free runs are: no log is found there."""
        assert isinstance(said(hurt_xfs("v4-shattered", (48, struct.pack(">Q", 1 << 17 | 5000)))), str)


@pytest.mark.parametrize("size", [0, 1, 264, 511, 512, 4096, 65536, 1 << 20])
def test_cut_off(hurt_xfs, said, size):
    reader = hurt_xfs("default")
    reader.truncate(size)

    assert isinstance(said(reader), str)
