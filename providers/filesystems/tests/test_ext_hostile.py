"""Every byte of an image may be hostile: a map or the whole volume, in bounded time and memory; never a wrong map."""

from __future__ import annotations

import re
import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from holdstill.errors import StructureFault
from holdstill.model.blockmap import BlockMap, WholeVolume
from holdstill.model.extents import Extents, union_of
from holdstill_filesystems import plugin
from holdstill_filesystems.crc import CRC32C
from holdstill_filesystems.ext import groups as groups_module
from holdstill_filesystems.ext import journal, superblock
from holdstill_filesystems.ext.blocks import Blocks
from holdstill_filesystems.ext.groups import descriptor_blocks, read_groups
from holdstill_testing.fakes.file_reader import FileReader
from holdstill_testing.torture import dice, rounds

#: what the parser may hold beside the process itself, bytes, and how often it may read, for the small images here
MEMORY, READS = 48 << 20, 20_000


def answer(path: Path) -> Extents | str:
    """The map, or why there is none; anything else that is raised comes out."""
    with FileReader(path) as reader:
        facts = plugin.recognise(reader)
        if facts is None or facts.name not in plugin.provider_info().filesystems:
            return "not recognised"
        try:
            found = plugin.enumerate_used_blocks(reader, facts)
            if isinstance(found, WholeVolume):
                assert found.reason
                return found.reason
            used = union_of(found.windows)
        except StructureFault as fault:
            return fault.message
        finally:
            assert reader.reads < READS
        assert used.end <= reader.size
        return used


@pytest.fixture
def hurt(of_kind, tmp_path):
    """A copy of the image of a kind, with bytes written over it: ``hurt(kind, (offset, bytes), ...)``."""

    def write(kind: str, *patches: tuple[int, bytes]) -> Path:
        copy = of_kind(kind).copy(tmp_path / "hurt.img")
        with copy.path.open("r+b") as image:
            for offset, data in patches:
                image.seek(offset)
                image.write(data)
        return copy.path

    return write


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
def test_hostile_numbers_in_the_superblock(hurt, kind, field, value):
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
def test_hostile_numbers_that_only_newer_ones_have(hurt, field, value):
    kind = {"first_meta_bg": "ext4-meta-bg", "checksum_seed": "ext4-checksum-seed"}.get(field, "ext4-1k")
    at, form = FIELDS[field]

    assert isinstance(answer(sealed(hurt(kind, (1024 + at, struct.pack("<" + form, value))))), str)


@pytest.mark.parametrize(("word", "at"), [("incompat", 0x60), ("ro_compat", 0x64)])
@pytest.mark.parametrize("bit", range(32))
def test_a_feature_that_is_not_known_is_the_whole_volume(hurt, of_kind, word, at, bit):
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
def test_a_flipped_bit_under_a_checksum_is_never_a_map(hurt, of_kind, kind):
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
def test_hostile_descriptors_without_checksums(hurt, field, other, said):
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


def test_metadata_on_top_of_the_descriptors(hurt):
    """With flex_bg a bitmap may lie in any group, but not there."""
    second = 2048 + 64
    path = hurt("ext4-no-checksums", (second + 4, struct.pack("<I", 2)))

    assert "overlap the superblock, its copies or the descriptors" in answer(path)


def test_a_bitmap_with_the_right_number_of_wrong_bits(hurt, of_kind):
    image = of_kind("ext4-1k")
    place = first_bitmap(image) * 1024
    with FileReader(image.path) as reader:
        bits = bytearray(reader.read(place, 1024))
    used = max(at for at, byte in enumerate(bits) if byte == 255)
    free = max(at for at, byte in enumerate(bits) if byte == 0)
    bits[used], bits[free] = 0, 255

    assert answer(hurt("ext4-1k", (place, bytes(bits)))) == "the block bitmap of group 0 does not fit its checksum"


def test_the_inode_of_the_journal_under_its_checksum(hurt, e2fs, of_kind):
    """Where it lies is asked of debugfs; 160 bytes of it hold something."""
    told = e2fs("debugfs", "-R", "imap <8>", of_kind("ext4-1k").path)
    block, within = re.search(r"located at block (\d+), offset (0x[0-9a-f]+)", told).groups()
    start = int(block) * 1024 + int(within, 16)
    with FileReader(of_kind("ext4-1k").path) as reader:
        inode = reader.read(start, 160)
    for at in range(160):
        assert isinstance(answer(hurt("ext4-1k", (start + at, bytes([inode[at] ^ 4])))), str), f"byte {at}"


def first_bitmap(image) -> int:
    with FileReader(image.path) as reader:
        sb = superblock.Superblock.read(reader)
        return int(read_groups(sb, Blocks(reader, sb.block_size, sb.blocks)).bitmap[0])


def test_a_bitmap_that_calls_metadata_free(hurt, of_kind):
    """As many clusters are free as the descriptor says, but not the right ones."""
    image = of_kind("ext2-1k")
    with FileReader(image.path) as reader:
        sb = superblock.Superblock.read(reader)
        place = int(read_groups(sb, Blocks(reader, sb.block_size, sb.blocks)).bitmap[1]) * 1024
        bits = bytearray(reader.read(place, 1024))
    bits[0] ^= 1
    free = next(at for at, byte in enumerate(bits) if at and byte == 0)
    bits[free] ^= 1

    assert "shows metadata at byte" in answer(hurt("ext2-1k", (place, bytes(bits))))


@pytest.mark.parametrize("kind", ["ext2-1k", "ext3-1k", "ext4-1k", "ext4-uninit-bg", "ext4-bigalloc-no-checksums"])
def test_noise_and_truncation(of_kind, hurt, kind):
    """Random patches where structures are, and ends anywhere: an answer, bounded reads, bounded memory."""
    size = of_kind(kind).size
    chance = dice(f"noise/{kind}")
    tracemalloc.start()
    try:
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
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("size", [0, 1, 1023, 1024, 1500, 2047, 2048, 5000])
def test_files_that_are_too_short_for_anything(tmp_path, size):
    path = tmp_path / "short.img"
    path.write_bytes(dice("short").randbytes(size))

    assert isinstance(answer(path), str)


# --- the journal --------------------------------------------------------------------------------


@pytest.fixture
def unreplayed(new_ext, e2fs, tmp_path):
    """An image with a log to replay, and where its log begins, in bytes."""
    image = new_ext("-t ext4 -b 1024", 16 << 20, 0)
    (tmp_path / "block").write_bytes(b"x" * 1024 * 101)
    e2fs("debugfs", "-w", "-f", "-", image.path, input=f"jo -c\njw -b 9000-9100 {tmp_path}/block\njw -r 9050\njc\n")
    start = int(e2fs("debugfs", "-R", "blocks <8>", image.path).split()[0]) * 1024
    assert not isinstance(answer(image.path), str)
    return image, start


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("blocks", 0xFFFFFFFF),
        ("blocks", 1),
        ("first", 0),
        ("first", 0xFFFFFFFF),
        ("start", 0xFFFFFFFF),
        ("block_size", 4096),
        ("feature_incompat", 0xFFFFFFFF),
        ("feature_ro_compat", 1),
        ("errno", -5),
        ("magic", 0),
        ("kind", 9),
        ("checksum", 1),
    ],
)
def test_hostile_numbers_in_the_journal(unreplayed, field, value):
    image, start = unreplayed
    at, form = next((at, form) for name, at, form in journal.LAYOUT.fields if name == field)
    with image.path.open("r+b") as file:
        file.seek(start + at)
        file.write(struct.pack(">" + form, value))
        if field != "checksum":
            file.seek(start)
            data = file.read(1024)
            file.seek(start + 0xFC)
            file.write(struct.pack(">I", CRC32C.one(data[:0xFC] + bytes(4) + data[0x100:], 0xFFFFFFFF)))

    assert isinstance(answer(image.path), str)


def test_flipped_bits_in_the_log(unreplayed):
    """Under a checksum they are refused. A block that no longer looks like the next one ends the log."""
    image, start = unreplayed
    with image.path.open("rb") as file:
        file.seek(start)
        log = file.read(110 * 1024)
    control = [at for at in range(1024, len(log), 1024) if log[at : at + 4] == bytes.fromhex("c03b3998")]
    assert {log[at + 7] for at in control} == {1, 2, 5}
    chance = dice("log")
    for number in range(rounds(400)):
        byte = chance.choice(control) + chance.randrange(12, 1024) if number % 2 else chance.randrange(len(log))
        with image.path.open("r+b") as file:
            file.seek(start + byte)
            file.write(bytes([log[byte] ^ 1 << chance.randrange(8)]))
            file.flush()
            said = answer(image.path)
            file.seek(start + byte)
            file.write(log[byte : byte + 1])
        assert isinstance(said, str) or not number % 2, f"byte {byte} of the log"


def test_a_logged_bitmap_that_does_not_fit_its_tag(new_ext, e2fs, tmp_path):
    image = new_ext("-t ext4 -b 1024", 16 << 20, 0)
    place = first_bitmap(image)
    with image.path.open("rb") as file:
        file.seek(place * 1024)
        (tmp_path / "bitmap").write_bytes(file.read(1024))
    e2fs("debugfs", "-w", "-f", "-", image.path, input=f"jo -c\njw -b {place} {tmp_path}/bitmap\njc\n")
    assert not isinstance(answer(image.path), str)
    start = int(e2fs("debugfs", "-R", "blocks <8>", image.path).split()[0]) * 1024
    with image.path.open("r+b") as file:
        file.seek(start + 2 * 1024 + 1000)
        file.write(b"?")

    assert answer(image.path) == "log block 2 of the journal does not fit its checksum"


def test_a_log_of_descriptors_without_end(new_ext, e2fs, tmp_path):
    """Every block of the log says that it is a descriptor of the same transaction."""
    image = new_ext("-t ext4 -b 1024 -O ^metadata_csum", 16 << 20, 0)
    (tmp_path / "block").write_bytes(b"x" * 1024)
    e2fs("debugfs", "-w", "-f", "-", image.path, input=f"jo\njw -b 9000 {tmp_path}/block\njc\n")
    blocks = [int(number) for number in e2fs("debugfs", "-R", "blocks <8>", image.path).split()]
    with image.path.open("r+b") as file:
        file.seek(blocks[0] * 1024 + 0x18)
        sequence = file.read(4)
        for number in blocks[1:]:
            file.seek(number * 1024)
            file.write(bytes.fromhex("c03b399800000001") + sequence + bytes(6) + b"\0\x0a" + bytes(1000))

    assert "no end" in answer(image.path)


# --- size ---------------------------------------------------------------------------------------


def test_a_sparse_16_tib_file_system(tmp_path, e2fs):
    """131064 groups, nearly all never written: few reads, and little memory beside the process's own."""
    path = tmp_path / "huge.img"
    with path.open("wb") as image:
        image.truncate(16383 << 30)
    e2fs("mke2fs", "-q", "-F", "-t", "ext4", path)
    header = dict(line.split(":", 1) for line in e2fs("dumpe2fs", "-h", path).splitlines() if ":" in line)
    used = (int(header["Block count"]) - int(header["Free blocks"])) * int(header["Block size"])

    script = """
import sys
from holdstill_filesystems import plugin
from holdstill_testing.fakes.file_reader import FileReader
with FileReader(sys.argv[1]) as reader:
    answer = plugin.enumerate_used_blocks(reader, plugin.recognise(reader))
    print(sum(window.total for window in answer.windows), reader.reads)
# VmHWM begins anew with a program, ru_maxrss does not: it would be that of the test's own process.
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
    told = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True).stdout
    total, reads, peak_kib = map(int, told.split())

    assert total == used
    assert reads < 16384
    assert peak_kib < 150 << 10


def test_a_hostile_sparse_file_system_of_many_groups_is_bounded(tmp_path, e2fs):
    """Descriptors of zeros for millions of groups: refused at the first, not after reading all."""
    path = tmp_path / "many.img"
    with path.open("wb") as image:
        image.truncate(4 << 40)
    e2fs("mke2fs", "-q", "-F", "-t", "ext2", "-b", "1024", "-g", "8192", "-O", "^resize_inode", path, str(8 << 20))
    with path.open("r+b") as image:
        image.seek(1024 + FIELDS["blocks_count_lo"][0])
        image.write(struct.pack("<I", 0xFFFFFFF0))

    tracemalloc.start()
    try:
        assert isinstance(answer(path), str)
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()


def test_a_map_is_only_promised_for_what_is_recognised(of_kind):
    with FileReader(of_kind("ext4-1k").path) as reader:
        facts = plugin.recognise(reader)
        assert isinstance(plugin.enumerate_used_blocks(reader, facts), BlockMap)
