"""What is in a volume, compared with what libblkid says of the same bytes."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from holdstill.model.blockmap import WholeVolume
from holdstill.model.volume import FilesystemFacts
from holdstill_filesystems import plugin
from holdstill_filesystems.signatures import SIGNATURES, shown_uuid
from holdstill_testing.fakes.file_reader import FileReader
from holdstill_testing.torture import dice

MIB = 1 << 20


def recognised(path):
    with FileReader(path) as reader:
        return plugin.recognise(reader)


def blkid(path):
    told = subprocess.run(["blkid", "-p", "-o", "export", path], capture_output=True, text=True).stdout
    return dict(line.split("=", 1) for line in told.splitlines() if "=" in line)


def sparse(path, size):
    with path.open("wb") as file:
        file.truncate(size)
    return path


def test_ext_is_named_as_libblkid_names_it(every_kind):
    facts, told = recognised(every_kind.path), blkid(every_kind.path)

    assert (facts.name, facts.uuid) == (told["TYPE"], told["UUID"])
    assert facts.block_size == int(every_kind.header()["Block size"])


@pytest.mark.parametrize("family", ["ext2", "ext3", "ext4"])
def test_an_ext_label(tmp_path, e2fs, family):
    path = sparse(tmp_path / "own.img", 8 * MIB)
    e2fs("mke2fs", "-q", "-F", "-t", family, "-L", "sixteen-letters!", path)

    assert recognised(path).label == blkid(path)["LABEL"] == "sixteen-letters!"


@pytest.mark.parametrize(
    ("program", "options", "size"),
    [
        ("mkfs.xfs", "-q -f -L name", 320 * MIB),
        ("mkfs.btrfs", "-q -f -L name", 128 * MIB),
        ("mkswap", "-q -L name", MIB),
        ("mkswap", "-q -L name -p 65536", 4 * MIB),
        ("mkfs.vfat", "-n NAME", 8 * MIB),
        ("mkfs.ntfs", "-q -F", 8 * MIB),  # its label is a file: that is for a reader of NTFS
        ("mkfs.jfs", "-q -L name", 32 * MIB),
        ("mkfs.f2fs", "-q -l name", 128 * MIB),
    ],
)
def test_others_are_named_as_libblkid_names_them(tmp_path, program, options, size):
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")
    path = sparse(tmp_path / "own.img", size)
    subprocess.run([program, *options.split(), path], check=True, capture_output=True)
    told = blkid(path)

    facts = recognised(path)

    assert (facts.name, facts.label, facts.uuid) == (told["TYPE"], told.get("LABEL", ""), told["UUID"])


@pytest.mark.parametrize("name", ["LVM2_member", "crypto_LUKS", "linux_raid_member", "swsuspend", "f2fs", "ReFS"])
def test_what_is_known_by_name_only_is_taken_whole(tmp_path, name):
    path = sparse(tmp_path / "own.img", MIB)
    signature = next(row for row in SIGNATURES if row.name == name and row.at >= 0)
    with path.open("r+b") as file:
        file.seek(signature.at)
        file.write(signature.magic)
    with FileReader(path) as reader:
        answer = plugin.enumerate_used_blocks(reader, plugin.recognise(reader))

    assert isinstance(answer, WholeVolume)
    assert answer.reason.startswith(f"{name}: ")


@pytest.mark.root
def test_a_physical_volume(tmp_path, e2fs):
    if not shutil.which("pvcreate"):
        pytest.skip("pvcreate is not installed")
    path = sparse(tmp_path / "own.img", 16 * MIB)
    device = e2fs("losetup", "--find", "--show", path).strip()
    try:
        e2fs("pvcreate", "-q", "--config", "global/locking_type=1", "--devices", device, device, ok=(0, 5))
    finally:
        e2fs("losetup", "-d", device)
    told = blkid(path)
    if "TYPE" not in told:
        pytest.skip("pvcreate does not work here")

    facts = recognised(path)

    assert (facts.name, facts.uuid) == (told["TYPE"], told["UUID"]) == ("LVM2_member", told["UUID"])


@pytest.mark.parametrize("signature", SIGNATURES, ids=lambda signature: f"{signature.name}@{signature.at}")
def test_every_row_of_the_table_is_found(tmp_path, signature):
    path = sparse(tmp_path / "own.img", MIB + 4096)
    at = signature.at if signature.at >= 0 else (MIB + 4096) // signature.round_to * signature.round_to + signature.at
    with path.open("r+b") as file:
        file.seek(at)
        file.write(signature.magic)

    assert recognised(path).name == signature.name


@pytest.mark.parametrize("byteorder", ["little", "big"])
def test_a_member_of_a_zfs_pool(tmp_path, byteorder):
    path = sparse(tmp_path / "own.img", MIB)
    with path.open("r+b") as file:
        file.seek((128 << 10) + 5 * 1024)
        file.write((0x00BAB10C).to_bytes(8, byteorder))

    assert recognised(path).name == "zfs_member"


def test_half_of_a_mirror_is_not_taken_for_what_it_mirrors(of_kind, tmp_path):
    """RAID metadata at the end leaves the superblock of the file system where a plain volume has it."""
    image = of_kind("ext4-1k").copy(tmp_path / "member.img")
    at = image.size // 4096 * 4096 - 8192
    with image.path.open("r+b") as file:
        file.seek(at)
        file.write(b"\xfc\x4e\x2b\xa9\x01\x00\x00\x00")

    facts = recognised(image.path)

    assert facts.name == "linux_raid_member"
    assert facts.detail == "also carries the signature of ext4"


@pytest.mark.parametrize("content", [b"", b"\0" * 5000, b"\xff" * 300_000], ids=["nothing", "zeros", "ones"])
def test_nothing_known(tmp_path, content):
    path = tmp_path / "own.img"
    path.write_bytes(content)

    assert recognised(path) is None


def test_noise_is_nothing_or_a_name(tmp_path):
    path = tmp_path / "own.img"
    path.write_bytes(dice("noise").randbytes(300_000))

    assert recognised(path) is None or isinstance(recognised(path), FilesystemFacts)


def test_labels_that_are_no_text(of_kind, tmp_path):
    image = of_kind("ext4-1k").copy(tmp_path / "own.img")
    with image.path.open("r+b") as file:
        file.seek(1024 + 0x78)
        file.write(b"\xff\xfe\x80bad")

    assert "bad" in recognised(image.path).label


def test_uuids_as_they_are_written():
    assert shown_uuid(bytes(16), "uuid") == ""
    assert shown_uuid(bytes.fromhex("78563412"), "serial") == "1234-5678"
    assert shown_uuid(b"\xff" * 32, "lvm").count("-") == 6
