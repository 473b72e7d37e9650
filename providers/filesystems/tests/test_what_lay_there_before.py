"""Volumes that still carry what they held before: no map of that may be believed."""

from __future__ import annotations

import shutil
import struct
import subprocess

import pytest

from holdstill.model.blockmap import BlockMap, WholeVolume
from holdstill.model.extents import union_of
from holdstill_filesystems import plugin
from holdstill_filesystems.signatures import SIGNATURES
from holdstill_testing.fakes.file_reader import FileReader

MIB = 1 << 20


def made(path, size, *commands):
    with path.open("wb") as file:
        file.truncate(size)
    for command in commands:
        program, *options = command.split()
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")
        subprocess.run([program, *options, path], check=True, capture_output=True)
    return path


def answered(path):
    with FileReader(path) as reader:
        answer = plugin.enumerate_used_blocks(reader, plugin.recognise(reader))
        return union_of(list(answer.windows)) if isinstance(answer, BlockMap) else answer


def patched(path, at, data):
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)
    return path


def partitions(*rows):
    """A table of partitions: active, type, first sector and count of each."""
    entries = [struct.pack("<B3xB3xII", *row) for row in rows]
    return b"".join(entries).ljust(64, b"\0") + b"\x55\xaa"


def test_a_new_ntfs_over_an_old_btrfs(tmp_path):
    """mkntfs leaves superblock and trees of the Btrfs as they were, and these are without a fault."""
    old = "mkfs.btrfs -q -f"
    path = made(tmp_path / "own.img", 128 * MIB, old, "mkntfs --quick --force --quiet")
    alone = made(tmp_path / "old.img", 128 * MIB, old)

    assert not isinstance(answered(alone), WholeVolume)
    assert answered(path).reason.startswith("it carries the signatures of btrfs and ntfs")


def test_a_live_ext_beside_the_old_signature_of_a_swap_area(tmp_path):
    """With pages of 64 KiB the signature lies where mke2fs writes nothing. The map of swap would be one page."""
    path = made(tmp_path / "own.img", 16 * MIB, "mkfs.ext4 -q -F -b 4096")
    whole_swap = made(tmp_path / "old.img", 16 * MIB, "mkswap -q -p 65536").read_bytes()[65526:65536]
    patched(path, 65526, whole_swap)

    assert answered(path).reason.startswith("it carries the signatures of swap and ext4")


def test_swap_areas_of_two_page_sizes(tmp_path):
    path = made(tmp_path / "own.img", 4 * MIB, "mkswap -q -p 65536")
    patched(path, 4086, b"SWAPSPACE2")

    assert answered(path).reason.startswith("it carries the signatures of swap and swap")


def test_an_encrypted_stick_that_looks_like_fat(tmp_path):
    """BitLocker To Go has a boot sector of FAT32, and its mark further on (libblkid bitlocker.c)."""
    path = made(tmp_path / "own.img", 64 * MIB, "mkfs.vfat -F 32")
    assert not isinstance(answered(path), WholeVolume)
    mark = next(row for row in SIGNATURES if row.name == "BitLocker" and row.at == 424)

    patched(path, mark.at, mark.magic)

    assert answered(path).reason.startswith("BitLocker: encrypted")


@pytest.mark.parametrize(
    ("made_by", "row"),
    [
        ("mkfs.vfat -F 16", (0x80, 0x83, 2048, 4096)),
        ("mkfs.vfat -F 32 -a", (0, 0xEE, 1, 0xFFFFFFFF)),
        ("mkntfs --quick --force --quiet", (0, 0x07, 2048, 4096)),
        ("mkswap -q", (0, 0x83, 2048, 4096)),
    ],
)
def test_a_disk_with_partitions_that_held_a_file_system_before(tmp_path, made_by, row):
    path = made(tmp_path / "own.img", 64 * MIB, made_by)
    assert not isinstance(answered(path), WholeVolume)

    patched(path, 446, partitions((0, 0, 0, 0), row))

    assert answered(path).reason.startswith("a table of partitions lies in its first sector")


@pytest.mark.parametrize(
    "rows",
    [
        [(0x80, 0x0C, 0, 131072)],  # as mkfs.fat --mbr writes it: the partition is the whole stick
        [(0, 0x83, 1 << 30, 4096)],
        [(0, 0x83, 2048, 0)],
        [(0x42, 0x83, 2048, 4096)],
    ],
)
def test_what_is_no_partition(tmp_path, rows):
    path = made(tmp_path / "own.img", 64 * MIB, "mkfs.vfat -F 16")
    patched(path, 446, partitions(*rows))

    assert not isinstance(answered(path), WholeVolume)


@pytest.mark.parametrize("at", [32 * MIB, 132 * MIB - 4096], ids=["hashes right behind it", "at the very end"])
def test_a_long_tail_that_somebody_else_uses(tmp_path, at):
    """As dm-verity does with its hashes, and DRBD with its metadata."""
    path = made(tmp_path / "own.img", 32 * MIB, "mkfs.ext4 -q -F")
    with path.open("r+b") as file:
        file.truncate(132 * MIB)
    patched(path, at, b"verity\0\0")

    assert int(answered(path).ends[-1]) == 132 * MIB
