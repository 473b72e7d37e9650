"""Every byte of a JFS may be hostile, and not all of it was left in order: the honest map, more than it, or none."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from holdstill.model.extents import Extents
from holdstill_filesystems import plugin
from holdstill_filesystems.jfs import allocation, superblock, usedmap, xtree
from holdstill_testing.destruction import PatchedReader, answer, bounded, mutations
from holdstill_testing.fakes.file_reader import FileReader
from holdstill_testing.torture import dice, rounds

BLOCK, MIB = 4096, 1 << 20
READS = 5000
PRIMARY, SECONDARY = 0x8000, 0xF000
#: the inode of the block map, and where mkfs.jfs puts the map: control page, three trees, the first bitmap page
INODE, MAP = 0xB000 + 2 * 512, 0x10000
LOWEST_TREE, FIRST_BITMAP = MAP + 3 * BLOCK, MAP + 4 * BLOCK


@pytest.fixture
def said(jfs):
    """Changes a copy of an image in memory, and asks for its map: ``said(kind, (offset, bytes), ...)``."""

    def ask(kind: str, *patches: tuple[int, bytes]) -> Extents | str:
        with PatchedReader(jfs(kind).path) as reader:
            for at, data in patches:
                reader.patch(at, data)
            found = answer(reader, plugin)
            assert reader.reads < READS
            return found

    return ask


def place(layout, field):
    at, form = next((at, form) for name, at, form in layout.fields if name == field)
    return at, layout.order + form


def number(base, layout, field, value):
    """A patch that gives a field another value."""
    at, form = place(layout, field)
    return base + at, struct.pack(form, *value) if isinstance(value, tuple) else struct.pack(form, value)


class TestNotLeftInOrder:
    @pytest.mark.parametrize(
        ("state", "because"), [(1, "log must be replayed"), (2, "damaged"), (4, "fsck"), (8, "extended"), (64, "64")]
    )
    def test_a_state_that_is_not_clean(self, said, state, because):
        assert because in said("filled", number(PRIMARY, superblock.LAYOUT, "state", state))

    @pytest.mark.parametrize("state", [0, 2, 3])
    def test_a_log_that_was_not_closed(self, said, jfs, state):
        log = 5888 * BLOCK + BLOCK

        assert "log was not closed" in said("filled", number(log, superblock.LOG, "state", state))

    @pytest.mark.parametrize(("field", "value"), [("magic", 1), ("version", 2), ("size", 255), ("bsize", 512)])
    def test_a_log_that_is_none(self, said, field, value):
        assert "log superblock" in said("filled", number(5888 * BLOCK + BLOCK, superblock.LOG, field, value))

    def test_a_log_elsewhere_is_told_of(self, jfs):
        with FileReader(jfs("external_log").path) as reader:
            assert "another device" in usedmap.used_blocks(reader).notes[0]


@pytest.mark.parametrize("bit", range(32))
def test_a_flag_that_is_not_known_is_the_whole_volume(said, jfs, bit):
    both = jfs("filled").flags | 1 << bit
    patches = [number(at, superblock.LAYOUT, "flag", both) for at in (PRIMARY, SECONDARY)]
    known = {*range(12), 16, 17, 18, 19, 21, 28, 30}

    found = said("filled", *patches)

    assert isinstance(found, Extents) if bit in known else f"0x{1 << bit:x} is not known" in found


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("magic", b"JFS2"),
        ("version", 0),
        ("version", 3),
        ("size", 0),
        ("size", 1),
        ("size", 8),
        ("size", 46688 - 8),
        ("size", 2**64 - 1),
        ("size", 2**43),
        ("bsize", 0),
        ("bsize", 512),
        ("l2bsize", 9),
        ("l2bsize", 0xFFFF),
        ("l2bfactor", 0),
        ("pbsize", 0),
        ("pbsize", 4096),
        ("l2pbsize", 0),
        ("l2pbsize", 63),
        ("agsize", 0),
        ("agsize", 8191),
        ("agsize", 16384),
        ("compress", 1),
        ("ait2", (0, 0)),
        ("ait2", (4, 3)),
        ("ait2", (0xFF000004, 25)),
        ("ait2", (4, 100)),
        ("aim2", (0xFFFFFF, 23)),
        ("logpxd", (0, 0)),
        ("logpxd", (256, 5800)),
        ("logpxd", (0xFFFFFF, 5888)),
        ("fsckpxd", (0, 0)),
        ("fsckpxd", (52, 16)),
        ("fsckpxd", (0xFF000034, 5836)),
    ],
)
def test_hostile_numbers_in_both_superblocks(said, field, value):
    patches = [number(at, superblock.LAYOUT, field, value) for at in (PRIMARY, SECONDARY)]

    assert isinstance(said("filled", *patches), str)


@pytest.mark.parametrize("field", superblock._COPIED)
def test_a_copy_that_says_otherwise(said, field):
    at, form = place(superblock.LAYOUT, field)

    assert f"superblock's {field}" in said("filled", (SECONDARY + at, b"\xfe" * struct.calcsize(form)))


@pytest.mark.parametrize(
    ("field", "value"),
    [("number", 3), ("fileset", 16), ("nlink", 0), ("mode", 0x4000), ("size", 0), ("size", 6 * BLOCK + 1)],
)
def test_an_inode_that_is_not_that_of_the_map(said, field, value):
    assert f"inode's {field}" in said("filled", number(INODE, xtree.INODE, field, value))


@pytest.mark.parametrize(
    ("layout", "at", "field", "value"),
    [
        (xtree.PAGE, INODE + 224, "flag", 0),
        (xtree.PAGE, INODE + 224, "flag", 6),
        (xtree.PAGE, INODE + 224, "flag", 4),
        (xtree.PAGE, INODE + 224, "nextindex", 2),
        (xtree.PAGE, INODE + 224, "nextindex", 19),
        (xtree.PAGE, INODE + 224, "maxentry", 0xFFFF),
        (allocation.CONTROL, MAP, "mapsize", 1),
        (allocation.CONTROL, MAP, "l2nbperpage", 1),
        (allocation.CONTROL, MAP, "l2nbperpage", 0xFFFFFFFF),
        (allocation.CONTROL, MAP, "numag", 2),
        (allocation.CONTROL, MAP, "maxlevel", 1),
        (allocation.CONTROL, MAP, "agsize", 16384),
        (allocation.TREE, LOWEST_TREE, "nleafs", 1023),
        (allocation.TREE, LOWEST_TREE, "leafidx", 340),
        (allocation.TREE, LOWEST_TREE, "height", 4),
        (allocation.TREE, LOWEST_TREE, "budmin", 12),
        (allocation.BITMAP, FIRST_BITMAP, "nblocks", 8192),
        (allocation.BITMAP, FIRST_BITMAP, "nfree", 4194),
        (allocation.BITMAP, FIRST_BITMAP, "start", 8192),
        (allocation.BITMAP, FIRST_BITMAP, "leafidx", 84),
        (allocation.BITMAP, FIRST_BITMAP, "height", 5),
    ],
)
def test_hostile_numbers_in_the_map(said, layout, at, field, value):
    assert isinstance(said("filled", number(at, layout, field, value)), str)


def test_an_entry_that_was_never_written(said):
    assert "never written" in said("filled", (INODE + 224 + 32, b"\x08"))


def test_a_hole_in_the_map(said):
    assert "follows" in said("filled", (INODE + 224 + 32 + 4, b"\x01"))


def test_a_tree_that_is_its_own_child(said):
    """The root names a page whose only entry names that page."""
    entry = struct.pack("<4I", 0, 0, 1, 5000)
    page = struct.pack("<8I", 0, 0, 0, 0, 0x84 | 3 << 16, 256, 1, 5000) + entry

    found = said("filled", (5000 * BLOCK, page), (INODE + 224 + 16, b"\x85"), (INODE + 224 + 32, entry))

    assert "no tree is higher" in found


def test_a_tree_of_two_levels(said, jfs):
    """The map of a file system that was extended very often. The page of the tree takes the place of a file's block."""
    image = jfs("resized")
    block = 1200
    assert block * BLOCK in image.honest
    with FileReader(image.path) as reader:
        entries = reader.read(INODE + 224 + 32, 3 * 16)
        copy = struct.unpack("<I", reader.read(PRIMARY + 52, 4))[0] * BLOCK + 2 * 512
    page = struct.pack("<8I", 0, 0, 0, 0, 0x32 | 5 << 16, 256, 1, block) + entries
    root = struct.pack("<4I", 0x85 | 3 << 16, 18, 0, 0) + struct.pack("<4I", 0, 0, 1, block)

    patches = [(at + 224 + 16, root) for at in (INODE, copy)]

    assert said("resized", (block * BLOCK, page), *patches) == image.honest
    assert "its copy" in said("resized", (INODE + 224 + 4 * 16 + 12, struct.pack("<I", 24269)))


@pytest.mark.parametrize("kind", ["filled", "wide"])
@pytest.mark.parametrize("part", [slice(2048, 3072), slice(0, 16), slice(33, 374)], ids=["bits", "head", "tree"])
def test_one_flipped_bit_of_a_bitmap_page_is_never_a_map(jfs, said, kind, part):
    """How many are free, and how they lie together, is told beside the bits of the working bitmap."""
    chance = dice(f"jfs/{kind}/{part.start}")
    for _ in range(rounds(400)):
        at = FIRST_BITMAP + chance.randrange(part.start, part.stop)
        with FileReader(jfs(kind).path) as reader:
            flipped = reader.read(at, 1)[0] ^ 1 << chance.randrange(8)
        assert isinstance(said(kind, (at, bytes([flipped]))), str), f"byte {at}"


@pytest.mark.parametrize("kind", ["filled", "resized", "wide", "frozen"])
def test_changed_images_give_the_honest_map_or_more_or_none(jfs, kind):
    regions = Extents.of(
        (PRIMARY, 184),
        (SECONDARY, 184),
        (INODE, 512),
        (MAP, 100),
        (LOWEST_TREE, 1400),
        (FIRST_BITMAP, 400),
        (FIRST_BITMAP + 2048, 2048),
        (jfs(kind).log + BLOCK, 36),
    )
    with bounded(48 * MIB):
        for reader in mutations(jfs(kind).path, regions, f"jfs/{kind}", rounds(1200)):
            found = answer(reader, plugin)
            honest = jfs(kind).honest.clip(0, reader.size)
            assert isinstance(found, str) or found.covers(honest), reader.patches
            assert reader.reads < READS


# --- large ones ---------------------------------------------------------------------------------------


def test_a_sparse_large_one(new_jfs):
    """128 GiB, of which the map itself is nearly all that is used: few reads, little memory."""
    image = new_jfs(128 << 30, "-s 1")
    with bounded(24 * MIB), FileReader(image.path) as reader:
        total = sum(window.total for window in usedmap.used_blocks(reader).windows)
        assert reader.reads < 100

    assert total == image.walked().total


def test_every_second_block(new_jfs):
    """33 GiB, where all bitmap pages but the first and the last alternate: four million runs, a window at a time."""
    image = new_jfs(33 << 30, "-s 1")
    pages = 1024
    page = bytearray(BLOCK)
    struct.pack_into("<2I", page, 0, 8192, 4096)
    struct.pack_into("<4Ib341s", page, 16, 256, 8, 85, 4, 5, bytes(341))
    page[2048:] = np.full(512, 0x55555555, dtype="<u4").tobytes()
    with image.path.open("r+b") as file:
        for index in range(1, pages):
            struct.pack_into("<Q", page, 8, index * 8192)
            file.seek(FIRST_BITMAP + index * BLOCK)
            file.write(page)
        file.seek(FIRST_BITMAP + 33)
        root = file.read(1)
        nodes = [root + bytes(size - 1) for size in (1, 4, 16, 64, 256, 1024)]
        file.seek(LOWEST_TREE + 17)
        file.write(b"".join(nodes))
        file.seek(MAP + 2 * BLOCK + 17 + 341)
        leaves = np.frombuffer(root + file.read(1024)[1:], dtype=np.int8)
        file.seek(MAP + 2 * BLOCK + 17)
        file.write(_tree_over(leaves))

    runs = 0
    with bounded(200 * MIB), FileReader(image.path) as reader:
        for window in usedmap.used_blocks(reader).windows:
            assert len(window) < 1_000_000
            runs += len(window)

    assert runs > (pages - 1) * 4096


def _tree_over(leaves):
    levels = [leaves]
    while levels[0].size > 1:
        levels.insert(0, levels[0].reshape(-1, 4).max(axis=1))
    return np.concatenate(levels).tobytes()


class TestTheOtherOrderOfBytes:
    """The JFS2 of AIX writes the same trees the other way round."""

    def test_the_same_tree(self, jfs):
        runs = [(0, 16, 6), (6, 3788, 2), (8, (7 << 32) + 9, 0x123456)]
        pages = []
        for order, pair in (
            ("<", lambda at, n: (n | at >> 32 << 24, at)),
            (">", lambda at, n: (n << 8 | at >> 32, at)),
        ):
            head = struct.pack(f"{order}qqBBHHHII", 0, 0, 0x83, 0, 5, 18, 0, 0, 0)
            words = [(0, start, *pair(at, length)) for start, at, length in runs]
            pages.append(head + b"".join(struct.pack(f"{order}4I", *row[:3], row[3] & 0xFFFFFFFF) for row in words))
        with FileReader(jfs("filled").path) as reader:
            blocks = xtree.Blocks(reader, BLOCK, 1 << 40)
            little, big = (
                xtree.read_runs(blocks, page.ljust(288, b"\0"), 0, layout)
                for page, layout in zip(pages, (xtree.PAGE, _turned(xtree.PAGE)), strict=True)
            )

        assert list(little.address) == [16, 3788, (7 << 32) + 9]
        assert list(little.length) == [6, 2, 0x123456]
        assert little.same(big)


def _turned(layout):
    return type(layout)(layout.name, layout.size, ">", layout.source, layout.fields)
