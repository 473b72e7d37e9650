"""Disks of LVM1, made byte by byte, and of LVM2, made by its own tools, which need no device-mapper for that."""

import os
import struct
import subprocess

import attrs
import pytest

from holdstill.held.runner import ProcessRunner
from holdstill.pipeline import plainfile
from holdstill_testing.conversations import Agreeing

MIB = 1 << 20


@pytest.fixture(autouse=True)
def _root_only(request):
    if request.node.get_closest_marker("root") and os.geteuid() != 0:
        pytest.skip("needs root")


@pytest.fixture
def reading():
    """Open a file as a volume's reader: ``reading(path)``."""
    opened = []

    def open_(path):
        opened.append(plainfile.identify(str(path)).open_reader(exclusive=False))
        return opened[-1]

    yield open_
    for reader in opened:
        reader.close()


@pytest.fixture
def lvm1_disk(tmp_path):
    """Write a disk as LVM1 left it (lvm2 2.02.177, lib/format1/disk-rep.h): ``lvm1_disk(version=2)``."""

    def make(version=2, *, group="vg_old", volumes=(("home", 8 * MIB), ("swap", 4 * MIB)), size=32 * MIB):
        head = bytearray(size)
        areas = ((0, 1024), (4096, 4096), (8192, 32768), (40960, 83968), (126976, 8192))
        struct.pack_into("<2sH", head, 0, b"HM", version)
        for at, area in zip((4, 12, 20, 28, 36), areas, strict=True):
            struct.pack_into("<II", head, at, *area)
        head[44:76] = b"QJ0xT1a2B3c4D5e6F7g8H9i0J1k2L3m4"
        head[172 : 172 + len(group)] = group.encode()
        extents = (size - MIB) // (4 * MIB)
        start = 2048 if version == 2 else 0
        struct.pack_into("<8I", head, 436, 1, 2, size // 512, len(volumes), 8192, extents, 3, start)
        for number, (name, length) in enumerate(volumes):
            at = 40960 + number * 328
            path = f"/dev/{group.removesuffix('PV_EXP')}/{name}".encode()
            head[at : at + len(path)] = path
            struct.pack_into("<I", head, at + 272, number)
            struct.pack_into("<I", head, at + 288, length // 512)
        path = tmp_path / f"lvm1-{version}.img"
        path.write_bytes(head)
        return path

    return make


@attrs.frozen
class Tools:
    """LVM's own tools, on loop devices of the test's own, with nothing activated."""

    disks: list

    def __call__(self, *words):
        done = subprocess.run(words, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def lvm(tmp_path, monkeypatch):
    """Two empty disks, and the tools that see no others."""
    paths = [tmp_path / "disk1", tmp_path / "disk2"]
    disks = []
    try:
        for path in paths:
            with path.open("wb") as file:
                file.truncate(64 * MIB)
            command = ["losetup", "--find", "--show", path]
            disks.append(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())
        allowed = ", ".join(f'"a|^{disk}$|"' for disk in disks)
        (tmp_path / "lvm.conf").write_text(
            f'devices {{ use_devicesfile = 0\n global_filter = [ {allowed}, "r|.*|" ] }}\n'
            "global { activation = 0 }\nactivation { udev_sync = 0\n udev_rules = 0\n monitoring = 0 }\n"
            f"backup {{ backup = 0\n archive = 0 }}\n"
        )
        monkeypatch.setenv("LVM_SYSTEM_DIR", str(tmp_path))
        monkeypatch.setenv("LVM_SUPPRESS_FD_WARNINGS", "1")
        yield Tools(disks)
    finally:
        for disk in disks:
            subprocess.run(["losetup", "--detach", disk], check=True)


@pytest.fixture
def group(lvm):
    """A group of odd names on both disks, rewritten often enough to be at odds with a first look: its name."""
    lvm("pvcreate", "--quiet", "--metadatasize", "32k", "--dataalignment", "64k", *lvm.disks)
    lvm("vgcreate", "--quiet", "vg-odd.x", *lvm.disks)
    for name, more in (("my-lv", ()), ("+st_1", ("--type", "striped", "--stripes", "2"))):
        lvm("lvcreate", "--activate", "n", "-Zn", "-Wn", *more, "-L", "8m", "-n", name, "vg-odd.x")
    return "vg-odd.x"


@pytest.fixture
def runner(tmp_path):
    """What programs are started with."""
    return ProcessRunner("test", tmp_path, Agreeing())
