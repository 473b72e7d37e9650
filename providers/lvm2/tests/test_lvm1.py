"""LVM1 on disks that were made byte by byte, as its tools no longer can; blkid is the second opinion."""

import shutil
import struct
import subprocess

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdstill.plugins.registry import Plugins
from holdstill_lvm2.ondisk.lvm1 import Lvm1Volume, lvm1_volume
from holdstill_lvm2.ondisk.recognise import recognised
from holdstill_testing.fakes.memory_volume import MemoryReader, MemoryVolume

MIB = 1 << 20


@pytest.mark.parametrize(("version", "starts"), [(1, (126976 + 8192) // 512 * 512), (2, 2048 * 512)])
def test_a_header(lvm1_disk, reading, version, starts):
    disk = lvm1_volume(reading(lvm1_disk(version)))

    assert (disk.version, disk.group, disk.exported) == (version, "vg_old", False)
    assert disk.uuid == "QJ0xT1a2B3c4D5e6F7g8H9i0J1k2L3m4"
    assert (disk.size, disk.extent_size, disk.extents, disk.data_starts) == (32 * MIB, 4 * MIB, 7, starts)
    assert disk.volumes == (Lvm1Volume("home", 8 * MIB), Lvm1Volume("swap", 4 * MIB))


@pytest.mark.parametrize("version", [1, 2])
def test_blkid_sees_the_same(lvm1_disk, reading, version):
    path = lvm1_disk(version)
    if not shutil.which("blkid"):
        pytest.skip("blkid is not installed")
    said = subprocess.run(["blkid", "-p", "-o", "export", path], check=True, capture_output=True, text=True).stdout
    told = dict(line.split("=", 1) for line in said.splitlines())

    facts = recognised(reading(path))

    assert (facts.name, facts.uuid) == (told["TYPE"], told["UUID"])
    assert facts.detail == f"LVM1, header version {version}: of volume group vg_old, with home, swap"


def test_an_exported_group(lvm1_disk, reading):
    assert "volume group vg_old (exported)" in recognised(reading(lvm1_disk(group="vg_oldPV_EXP"))).detail


def test_a_disk_in_no_group(lvm1_disk, reading):
    assert recognised(reading(lvm1_disk(group="", volumes=()))).detail == "LVM1, header version 2: in no volume group"


def test_other_versions_are_not_lvm1(lvm1_disk, reading):
    assert lvm1_volume(reading(lvm1_disk(3))) is None


def test_all_plugins_together_take_it_for_nothing_else(lvm1_disk, reading):
    """A label of LVM2, and a superblock of ext2, left on the disk from other lives."""
    path = lvm1_disk()
    with path.open("r+b") as file:
        file.seek(512)
        file.write(b"LABELONE" + struct.pack("<QII", 1, 0, 32) + b"LVM2 001" + b"A" * 32)
        file.seek(1024 + 56)
        file.write(b"\x53\xef")

    facts = Plugins.installed().recognise(reading(path))

    assert (facts.name, facts.uuid) == ("LVM1_member", "QJ0xT1-a2B3-c4D5-e6F7-g8H9-i0J1-k2L3m4")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.data())
def test_no_header_is_too_hostile(lvm1_disk, data):
    head = bytearray(4 * MIB // 16)
    head[:4] = b"HM\x02\x00"
    head[4:512] = data.draw(st.binary(min_size=508, max_size=508))
    disk = lvm1_volume(MemoryReader(MemoryVolume(bytes(head))))
    assert disk is not None
    assert len(disk.volumes) <= 256


@pytest.mark.parametrize("size", [0, 3, 511])
def test_a_volume_that_is_too_small(size):
    assert lvm1_volume(MemoryReader(MemoryVolume(b"HM\x01\x00".ljust(512, b"\0")[:size]))) is None
