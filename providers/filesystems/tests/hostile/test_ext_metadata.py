"""Superblocks, descriptors, bitmaps and inodes that lie; noise, and ends anywhere."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import numpy as np
import pytest

from holdstill.model.blockmap import BlockMap
from holdstill_filesystems import plugin
from holdstill_filesystems.blocks import Blocks
from holdstill_filesystems.crc import CRC32C
from holdstill_filesystems.ext import groups as groups_module
from holdstill_filesystems.ext import superblock
from holdstill_filesystems.ext.groups import descriptor_blocks, read_groups
from holdstill_testing.fakes.file_reader import FileReader
from holdstill_testing.torture import dice, rounds


def sealed(path: Path) -> Path:
    """Make the superblock's checksum fit again: a hostile hand can compute it too."""
    with path.open("r+b") as image:
        image.seek(1024)
        data = image.read(1020)
        image.write(struct.pack("<I", CRC32C.one(data, 0xFFFFFFFF)))
    return path


FIELDS = {name: (at, form) for name, at, form in superblock.LAYOUT.fields}


@pytest.mark.parametrize("kind", ["ext2-1k", "ext4-1k", "ext4-meta-bg", "ext4-bigalloc-1k"])
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("blocks_count_lo", 0),
        ("blocks_count_lo", 1),
        ("blocks_count_lo", 0xFFFFFFFF),
        ("blocks_count_hi", 0xFFFFFFFF),
        ("first_data_block", 0xFFFFFFFF),
        ("first_data_block", 7),
        ("log_block_size", 40),
        ("log_block_size", 0xFFFFFFFF),
        ("log_block_size", 6),
        ("log_cluster_size", 0xFFFFFFFF),
        ("log_cluster_size", 20),
        ("blocks_per_group", 0),
        ("blocks_per_group", 8),
        ("clusters_per_group", 0),
        ("clusters_per_group", 8),
        ("inodes_per_group", 0),
        ("inodes_per_group", 0xFFFFFFFF),
        ("rev_level", 9),
        ("rev_level", 0),
        ("inode_size", 0),
        ("inode_size", 1),
        ("inode_size", 0x8000),
        ("state", 0),
        ("state", 3),
    ],
)
def test_hostile_numbers_in_the_superblock(hurt, kind, field, value, answer):
    at, form = FIELDS[field]
    path = sealed(hurt(kind, (1024 + at, struct.pack("<" + form, value))))

    said = answer(path)

    # a revision 0 superblock, or a short file system in a longer one, would be for the checksums of groups to find
    assert isinstance(said, str), f"{field} = {value} gave a map"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("desc_size", 0),
        ("desc_size", 63),
        ("desc_size", 0xFFFF),
        ("first_meta_bg", 0xFFFFFFFF),
        ("reserved_gdt_blocks", 0xFFFF),
        ("checksum_type", 9),
        ("checksum_seed", 1),
        ("uuid", b"x" * 16),
        ("journal_inum", 0xFFFFFFFF),
        ("journal_inum", 2),
    ],
)
def test_hostile_numbers_that_only_newer_ones_have(hurt, field, value, answer):
    kind = {"first_meta_bg": "ext4-meta-bg", "checksum_seed": "ext4-checksum-seed"}.get(field, "ext4-1k")
    at, form = FIELDS[field]

    assert isinstance(answer(sealed(hurt(kind, (1024 + at, struct.pack("<" + form, value))))), str)


@pytest.mark.parametrize(("word", "at"), [("incompat", 0x60), ("ro_compat", 0x64)])
@pytest.mark.parametrize("bit", range(32))
def test_a_feature_that_is_not_known_is_the_whole_volume(hurt, of_kind, word, at, bit, answer):
    """Whatever is turned on beside what is there: either it is known, or the bit is named."""
    with of_kind("ext4-1k").path.open("rb") as image:
        image.seek(1024 + at)
        features = struct.unpack("<I", image.read(4))[0]
    said = answer(sealed(hurt("ext4-1k", (1024 + at, struct.pack("<I", features | 1 << bit)))))

    names = {("incompat", 0): "compression", ("ro_compat", 7): "has_snapshot", ("ro_compat", 11): "replica"}
    known = {
        "incompat": {1, 2, 3, 4, 6, 7, 8, 9, 10, 12, 13, 14, 15, 16, 17},
        "ro_compat": {0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 12, 13, 14, 15, 16},
    }
    if bit not in known[word]:
        assert names.get((word, bit), f"{word} bit 0x{1 << bit:x}") in said


def under_checksums(path: Path) -> list[tuple[int, int]]:
    """Which bytes of an image are under a checksum that the reader must check: offsets and lengths."""
    with FileReader(path) as reader:
        sb = superblock.Superblock.read(reader)
        groups = read_groups(sb, Blocks(reader, sb.block_size, sb.blocks))
        numbers = descriptor_blocks(sb, np.arange(sb.descriptor_blocks)).tolist()
    checked = []
    for index, number in enumerate(numbers):
        here = min(sb.descriptors_per_block, sb.groups - index * sb.descriptors_per_block)
        checked.append((number * sb.block_size, here * sb.descriptor_size))
    if sb.has(superblock.RoCompat.METADATA_CSUM):
        checked.append((1024, 1024))
    # without it the number of free clusters is what finds one flipped bit; what lies past the end is nobody's
    bitmaps = groups.bitmap[~groups.unwritten][:-1].tolist()
    return checked + [(number * sb.block_size, sb.clusters_per_group // 8) for number in bitmaps]


@pytest.mark.parametrize("kind", ["ext4-1k", "ext4-meta-bg", "ext4-uninit-bg"])
def test_a_flipped_bit_under_a_checksum_is_never_a_map(hurt, of_kind, kind, answer):
    """Superblock, descriptors and the bitmaps' own bits, one at a time."""
    image = of_kind(kind)
    checked = under_checksums(image.path)
    chance = dice(f"flips/{kind}")
    for _ in range(rounds(300)):
        offset, length = chance.choice(checked)
        byte = offset + chance.randrange(length)
        with image.path.open("rb") as whole:
            whole.seek(byte)
            flipped = whole.read(1)[0] ^ 1 << chance.randrange(8)
        assert isinstance(answer(hurt(kind, (byte, bytes([flipped])))), str), f"byte {byte}"


@pytest.mark.parametrize(
    ("field", "other", "said"),
    [
        ("inode_bitmap_lo", "block_bitmap_lo", "overlap"),
        ("inode_table_lo", 0, "cannot lie at block 0"),
        ("block_bitmap_lo", 0xFFFFFFFF, "cannot lie at block 4294967295"),
        ("block_bitmap_lo", 1, "cannot lie at block 1"),
        ("free_clusters_lo", 1, "free clusters"),
    ],
)
def test_hostile_descriptors_without_checksums(hurt, field, other, said, answer):
    at = {name: at for name, at, _ in groups_module.LAYOUT.fields}
    path = hurt("ext2-1k")
    with path.open("r+b") as image:
        second = 2048 + 32
        if isinstance(other, str):
            image.seek(second + at[other])
            other = struct.unpack("<I", image.read(4))[0]
        image.seek(second + at[field])
        image.write(struct.pack("<H" if field.startswith("free") else "<I", other))

    assert said in answer(path)


def test_metadata_on_top_of_the_descriptors(hurt, answer):
    """With flex_bg a bitmap may lie in any group, but not there."""
    second = 2048 + 64
    path = hurt("ext4-no-checksums", (second + 4, struct.pack("<I", 2)))

    assert "overlap the superblock, its copies or the descriptors" in answer(path)


def test_a_bitmap_with_the_right_number_of_wrong_bits(hurt, of_kind, answer, place_of_bitmap):
    image = of_kind("ext4-1k")
    place = place_of_bitmap(image, 0)
    with FileReader(image.path) as reader:
        bits = bytearray(reader.read(place, 1024))
    used = max(at for at, byte in enumerate(bits) if byte == 255)
    free = max(at for at, byte in enumerate(bits) if byte == 0)
    bits[used], bits[free] = 0, 255

    assert answer(hurt("ext4-1k", (place, bytes(bits)))) == "the block bitmap of group 0 does not fit its checksum"


def test_the_inode_of_the_journal_under_its_checksum(hurt, e2fs, of_kind, answer):
    """Where it lies is asked of debugfs; 160 bytes of it hold something."""
    told = e2fs("debugfs", "-R", "imap <8>", of_kind("ext4-1k").path)
    block, within = re.search(r"located at block (\d+), offset (0x[0-9a-f]+)", told).groups()
    start = int(block) * 1024 + int(within, 16)
    with FileReader(of_kind("ext4-1k").path) as reader:
        inode = reader.read(start, 160)
    for at in range(160):
        assert isinstance(answer(hurt("ext4-1k", (start + at, bytes([inode[at] ^ 4])))), str), f"byte {at}"


def test_a_bitmap_that_calls_metadata_free(hurt, of_kind, answer, place_of_bitmap):
    """As many clusters are free as the descriptor says, but not the right ones."""
    image = of_kind("ext2-1k")
    place = place_of_bitmap(image, 1)
    with FileReader(image.path) as reader:
        bits = bytearray(reader.read(place, 1024))
    bits[0] ^= 1
    free = next(at for at, byte in enumerate(bits) if at and byte == 0)
    bits[free] ^= 1

    assert "shows metadata at byte" in answer(hurt("ext2-1k", (place, bytes(bits))))


@pytest.mark.parametrize("kind", ["ext2-1k", "ext3-1k", "ext4-1k", "ext4-uninit-bg", "ext4-bigalloc-no-checksums"])
def test_noise_and_truncation(of_kind, hurt, kind, answer, bounded_memory):
    """Random patches where structures are, and ends anywhere: an answer, bounded reads, bounded memory."""
    size = of_kind(kind).size
    chance = dice(f"noise/{kind}")
    with bounded_memory():
        for _ in range(rounds(400)):
            patches = []
            for _ in range(chance.choice((1, 1, 2, 8))):
                place = chance.choice((1024 + chance.randrange(1024), chance.randrange(1 << chance.randrange(11, 22))))
                patches.append((place, chance.randbytes(chance.choice((1, 2, 4, 64, 1024)))))
            path = hurt(kind, *patches)
            if chance.random() < 0.3:
                with path.open("r+b") as image:
                    image.truncate(chance.randrange(size))
            if chance.random() < 0.5 and path.stat().st_size > 2048:
                sealed(path)
            answer(path)


@pytest.mark.parametrize("size", [0, 1, 1023, 1024, 1500, 2047, 2048, 5000])
def test_files_that_are_too_short_for_anything(tmp_path, size, answer):
    path = tmp_path / "short.img"
    path.write_bytes(dice("short").randbytes(size))

    assert isinstance(answer(path), str)


def test_a_map_is_only_promised_for_what_is_recognised(of_kind):
    with FileReader(of_kind("ext4-1k").path) as reader:
        facts = plugin.recognise(reader)
        assert isinstance(plugin.enumerate_used_blocks(reader, facts), BlockMap)
