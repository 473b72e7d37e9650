"""UFS1 that someone has changed, or that was not left in order."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from holdstill.model.extents import Extents
from holdstill_filesystems import plugin
from holdstill_testing import volumes
from holdstill_testing.destruction import answer, bounded, mutations
from holdstill_testing.fakes.file_reader import FileReader
from holdstill_testing.torture import rounds

MIB = 1 << 20
READS = 2000
SUPERBLOCK = 8192


def said(path):
    with FileReader(path) as reader:
        return answer(reader, plugin)


class TestHowItWasLeft:
    """Only what Solaris vouches for, or the BSDs' mark of a clean unmount, is believed."""

    @pytest.fixture(params=["sparc", "x86"])
    def image(self, request, own_ufs):
        return own_ufs(request.param)

    @pytest.mark.parametrize(
        ("clean", "rolled"), [(0x01, 0), (0x02, 0), (0xFD, 1)], ids=["unmounted", "stable", "log rolled"]
    )
    def test_in_order(self, image, clean, rolled):
        image.leave(clean, rolled)

        assert isinstance(said(image.path), Extents)

    @pytest.mark.parametrize(
        ("clean", "rolled", "because"),
        [
            (0x00, 0, "not unmounted cleanly"),
            (0xFF, 0, "not unmounted cleanly"),
            (0xFE, 0, "not unmounted cleanly"),
            (0xFC, 0, "not unmounted cleanly"),
            (0xFD, 2, "log holds changes"),
            (0xFD, 0, "log holds changes"),
        ],
        ids=["active", "bad", "suspended", "being repaired", "log to be rolled", "log of an older system"],
    )
    def test_not_in_order(self, image, clean, rolled, because):
        image.leave(clean, rolled)

        assert because in said(image.path)

    def test_a_state_that_vouches_for_nothing(self, image):
        image.set("time", image.field("time") + 1)

        assert "nothing vouches" in said(image.path)

    def test_a_mounted_bsd(self, own_ufs):
        image = own_ufs("bsd-little")
        image.write(SUPERBLOCK + 209, b"\2")  # NetBSD: was clean, before it was mounted

        assert "not unmounted cleanly" in said(image.path)

    def test_a_log_outside_the_file_system(self, own_ufs):
        image = own_ufs("sparc-logging")
        image.set("logbno", 1 << 30)

        assert "outside the file system" in said(image.path)

    def test_a_log_that_the_map_calls_free(self, own_ufs):
        image = own_ufs("sparc-logging")
        free = said(image.path).complement(image.size)
        image.set("logbno", int(free.starts[free.lengths.argmax()]) // 8192 * 16 + 16)

        assert "calls metadata" in said(image.path)


class TestKin:
    """The family that shares magic or place, and is not read."""

    def test_ufs2(self, tmp_path, own_ufs):
        tree = tmp_path / "tree"
        tree.mkdir()
        volumes.run("makefs", "-t", "ffs", "-s", str(8 * MIB), "-o", "version=2", tmp_path / "own.img", tree)

        assert "only UFS1" in said(tmp_path / "own.img")

    def test_hfs_of_hp_ux(self, own_ufs):
        """The same magic, and groups of an older kind."""
        image = own_ufs("bsd-big")
        image.write(SUPERBLOCK + 1356, struct.pack(">i", -1))

        assert "HP-UX" in said(image.path)

    def test_hfs_with_long_names(self, own_ufs):
        image = own_ufs("bsd-big")
        image.write(SUPERBLOCK + 1372, struct.pack(">I", 0x00095014))

        assert "only UFS1" in said(image.path)


@pytest.mark.parametrize(
    ("at", "value", "because"),
    [
        (8, 0, "sblkno"),
        (12, 9999, "dblkno"),
        (20, 1 << 31, "dblkno"),
        (36, 0, "size"),
        (36, 0xFFFFFFFF, "but the volume"),
        (44, 0, "ncg"),
        (44, 3, "make"),
        (48, 1 << 20, "bsize"),
        (48, 5000, "bsize"),
        (52, 0, "fsize"),
        (56, 3, "frag"),
        (152, 0xFFFFFFF0, "outside the file system"),
        (160, 0, "cgsize"),
        (160, 0xFFFFFFFF, "cgsize"),
        (184, 0xFFFFFFFF, "ipg"),
        (188, 0, "fpg"),
        (188, 4093, "fpg"),
        (188, 0xFFFFFFF8, "fpg"),
    ],
)
def test_every_field_that_places_depend_on(own_ufs, at, value, because):
    image = own_ufs("sparc")
    image.write(SUPERBLOCK + at, struct.pack(">I", value))

    assert because in said(image.path)


def test_metadata_that_moves_out_of_its_group(own_ufs):
    image = own_ufs("sparc-moved-metadata")
    image.set("cgoffset", 1 << 31)

    assert "would not lie in its group" in said(image.path)


class TestTheGroups:
    @pytest.fixture
    def second(self, own_ufs):
        """An image, and where the descriptor of its second group is."""
        image = own_ufs("sparc")
        return image, (image.field("fpg") + image.field("cblkno")) * image.field("fsize")

    @pytest.mark.parametrize(
        ("at", "value", "because"),
        [
            (4, 0x00090256, "does not say that it is one"),
            (12, 0, "another one's"),
            (20, 8, "number of fragments"),
            (28, 1, "free blocks"),
            (36, 9999, "free fragments"),
            (96, 4, "map does not lie"),
            (96, 0xFFFFFFFF, "map does not lie"),
        ],
    )
    def test_descriptors(self, second, at, value, because):
        image, place = second
        image.write(place + at, struct.pack(">I", value))

        assert because in said(image.path)

    def test_a_map_that_calls_inodes_free(self, second):
        """As many fragments are free as the descriptor says, but not the right ones."""
        image, place = second
        at = place + image.number(place + 96)
        inodes = image.field("dblkno") // 8 - 1
        with FileReader(image.path) as reader:
            row = np.frombuffer(reader.read(at, image.field("fpg") // 8), dtype=np.uint8)
        free = int(np.flatnonzero(row == 255)[-1])
        image.write(at + inodes, b"\xff")
        image.write(at + free, b"\0")

        assert "calls metadata" in said(image.path)

    def test_every_flipped_bit_of_a_map_is_noticed(self, second, made_ufs):
        """By the counts of free blocks and fragments: the only witness there is."""
        image, place = second
        at = Extents.of((place + image.number(place + 96), image.field("fpg") // 8))
        sound = said(image.path)
        for reader in mutations(image.path, at, "ufs-flips", rounds(300)):
            found = answer(reader, plugin)
            assert isinstance(found, str) or found == sound or len(reader.patches) > 1


@pytest.mark.parametrize("kind", ["bsd-little", "sparc-moved-metadata", "x86"])
def test_mutations(made_ufs, kind):
    """A clear answer, few reads, little memory."""
    image = made_ufs(kind)
    group = image.field("cblkno") * image.field("fsize")
    regions = Extents.of(
        (SUPERBLOCK, 212), (SUPERBLOCK + 1320, 56), (group, 168), (group + 168, 2000), (SUPERBLOCK + 8, 52)
    )
    with bounded(48 * MIB):
        for reader in mutations(image.path, regions, f"ufs/{kind}", rounds(700)):
            answer(reader, plugin)
            assert reader.reads < READS


@pytest.mark.parametrize("size", [0, 8192, 9567, 9568, 20_000, 100_000])
def test_volumes_that_are_too_short(made_ufs, tmp_path, size):
    path = tmp_path / "short.img"
    path.write_bytes(made_ufs("sparc").path.read_bytes()[:size])

    assert isinstance(said(path), str)


def ufs_by_hand(path, groups, free_byte):
    """Groups of 128 MiB with fragments of 2 KiB; behind the metadata all bytes of the maps are ``free_byte``."""
    fragments, metadata = 1 << 16, 64
    superblock = bytearray(1376)
    for at, value in {
        8: 16, 12: 24, 16: 40, 20: metadata, 36: groups * fragments, 44: groups, 48: 16384, 52: 2048, 56: 8,
        152: 48, 156: 1024, 160: 16384, 184: 64, 188: fragments, 1356: 1, 1372: 0x00011954,
    }.items():  # fmt: skip
        struct.pack_into(">I", superblock, at, value)
    superblock[209], superblock[211] = 1, 0x80
    row = np.full(fragments // 8, free_byte, dtype=np.uint8)
    row[: metadata // 8] = 0
    bits = np.unpackbits(row)
    blocks = int((row == 255).sum())
    volumes.sparse(path, groups * fragments * 2048)
    with path.open("r+b") as image:
        image.seek(SUPERBLOCK)
        image.write(superblock)
        for group in range(groups):
            descriptor = bytearray(168)
            for at, value in {
                4: 0x00090255, 12: group, 20: fragments, 28: blocks, 36: int(bits.sum()) - 8 * blocks, 96: 168,
            }.items():  # fmt: skip
                struct.pack_into(">I", descriptor, at, value)
            image.seek((group * fragments + 24) * 2048)
            image.write(descriptor + row.tobytes())


def test_a_terabyte_nearly_empty(tmp_path):
    """A tenth of it in ordinary runs."""
    groups = rounds(8192)
    ufs_by_hand(tmp_path / "own.img", groups, 0xFF)
    with bounded(100 * MIB):
        used = said(tmp_path / "own.img")

    assert used == Extents.from_arrays(np.arange(groups) * (128 * MIB), np.full(groups, 64 * 2048))


def test_every_second_fragment(tmp_path):
    ufs_by_hand(tmp_path / "own.img", 64, 0x55)
    with bounded(200 * MIB):
        used = said(tmp_path / "own.img")

    assert used.total == 64 * (64 + ((1 << 16) - 64) // 2) * 2048
    assert len(used) == 64 * ((1 << 16) - 64) // 2 + 1  # the last fragment of a group touches the next one's metadata
