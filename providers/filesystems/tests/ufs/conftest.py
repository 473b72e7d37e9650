"""UFS1 images of both byte orders, made by makefs; and what Solaris does otherwise, done to them by hand."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import attrs
import numpy as np
import pytest

from holdstill_testing import sleuthkit, volumes
from holdstill_testing.torture import dice

MIB = 1 << 20
SUPERBLOCK = 8192
OKAY = 0x7C269D38
CLEAN, STABLE, LOGGING = 1, 2, 0xFD
ALL_ROLLED, NEED_ROLL = 1, 2
#: fields of the superblock that are changed here
FIELDS = {
    "rolled": 4, "sblkno": 8, "cblkno": 12, "dblkno": 20, "cgoffset": 24, "cgmask": 28, "time": 32, "ncg": 44,
    "fsize": 52, "frag": 56, "csaddr": 152, "fpg": 188, "logbno": 1324,
}  # fmt: skip


@attrs.frozen
class UfsKind:
    """How to make one kind of image. ``order`` is that of ``struct``. Small blocks make many groups."""

    name: str
    order: str
    options: str
    size: int = 24 * MIB
    files: int = 40
    solaris: str = ""
    """How Solaris left it: ``clean``, ``stable``, ``rolled``; not Solaris if empty."""
    offset: int = 0
    """By how many fragments the metadata moves on from group to group (in turns of four)."""


KINDS = [
    UfsKind("bsd-little", "<", "bsize=8192,fsize=1024"),
    UfsKind("bsd-big", ">", "bsize=8192,fsize=1024"),
    UfsKind("bsd-2k-fragments", "<", "bsize=16384,fsize=2048"),
    UfsKind("bsd-4k-blocks", ">", "bsize=4096,fsize=512", 42 * MIB + 5 * 4096),
    UfsKind("bsd-large-fragments", ">", "bsize=32768,fsize=8192", 40 * MIB),
    UfsKind("bsd-full", "<", "bsize=8192,fsize=1024,minfree=0", 4608 << 10, 60),
    UfsKind("sparc", ">", "bsize=4096,fsize=512", 40 * MIB, solaris="clean"),
    UfsKind("sparc-logging", ">", "bsize=4096,fsize=512", 40 * MIB, solaris="rolled"),
    UfsKind("sparc-moved-metadata", ">", "bsize=4096,fsize=512", 50 * MIB, 15, "stable", 16),
    UfsKind("x86", "<", "bsize=4096,fsize=512", 40 * MIB, solaris="rolled"),
    UfsKind("x86-moved-metadata", "<", "bsize=4096,fsize=512", 50 * MIB, 15, "rolled", 24),
]


class UfsImage:
    """An image, and how to change it."""

    def __init__(self, path: Path, order: str) -> None:
        self.path = path
        self.order = order

    @property
    def size(self) -> int:
        return self.path.stat().st_size

    def number(self, at: int) -> int:
        with self.path.open("rb") as image:
            image.seek(at)
            return struct.unpack(f"{self.order}I", image.read(4))[0]

    def field(self, name: str) -> int:
        return self.number(SUPERBLOCK + FIELDS[name])

    def write(self, at: int, data: bytes) -> None:
        with self.path.open("r+b") as image:
            image.seek(at)
            image.write(data)

    def set(self, name: str, value: int) -> None:
        self.write(SUPERBLOCK + FIELDS[name], struct.pack(f"{self.order}I", value))

    def leave(self, clean: int, rolled: int = 0) -> None:
        """As Solaris leaves it: with a state that vouches for ``clean``."""
        at = SUPERBLOCK + (1336 if self.order == ">" else 132)
        self.write(at, struct.pack(f"{self.order}I", (OKAY - self.field("time")) & 0xFFFFFFFF))
        self.write(SUPERBLOCK + 209, bytes([clean]))
        self.write(SUPERBLOCK + 211, b"\0")
        self.set("rolled", rolled)

    def move_metadata(self, step: int) -> None:
        """Move the metadata of groups on by ``step`` fragments, in turns of four, as ``cgoffset`` of Solaris has it."""
        fragment, per_group = self.field("fsize"), self.field("fpg")
        first, past = self.field("sblkno"), self.field("dblkno")
        with self.path.open("r+b") as image:
            for group in range(self.field("ncg")):
                base, by = group * per_group, step * (group & 3)
                image.seek((base + first) * fragment)
                metadata = bytearray(image.read((past - first) * fragment))
                descriptor = (self.field("cblkno") - first) * fragment
                at = descriptor + struct.unpack_from(f"{self.order}I", metadata, descriptor + 96)[0]
                bits = np.unpackbits(np.frombuffer(metadata, np.uint8, per_group // 8, at), bitorder="little")
                assert bits[past : past + by].all(), f"group {group} has files where its metadata should go"
                bits[first : past + by] = 1
                bits[first + by : past + by] = 0
                metadata[at : at + per_group // 8] = np.packbits(bits, bitorder="little").tobytes()
                image.seek((base + first) * fragment)
                image.write(b"\xee" * by * fragment)
                image.seek((base + first + by) * fragment)
                image.write(metadata)
        self.set("cgoffset", step)
        self.set("cgmask", 0xFFFFFFFC)

    def missing_from(self, other: Path) -> str | None:
        """What of this image another has lost (a sentence), or None."""
        with self.path.open("rb") as mine, other.open("rb") as theirs:
            if mine.read(SUPERBLOCK) != theirs.read(SUPERBLOCK):
                return "the boot area differs"
        try:
            if sleuthkit.allocated(other, self.field("fsize")) != sleuthkit.allocated(self.path, self.field("fsize")):
                return "the maps differ"
            return None if sleuthkit.contents(other) == sleuthkit.contents(self.path) else "files differ"
        except subprocess.CalledProcessError as gave_up:  # noise in a group descriptor makes it crash
            return str(gave_up)


def make_ufs(kind: UfsKind, path: Path) -> UfsImage:
    """An image of the kind, filled."""
    chance = dice(f"ufs/{kind.name}")
    tree = path.with_suffix(".tree")
    for index in range(kind.files):
        name = tree / f"folder{index % 5}" / f"file{index}"
        name.parent.mkdir(parents=True, exist_ok=True)
        name.write_bytes(chance.randbytes(chance.choice((0, 30, 1500, 3000, 20_000, 90_000, 300_000))))
    order = "le" if kind.order == "<" else "be"
    volumes.run("makefs", "-t", "ffs", "-B", order, "-s", str(kind.size), "-o", f"version=1,{kind.options}", path, tree)
    volumes.run("rm", "-rf", tree)
    image = UfsImage(path, kind.order)
    image.write(0, b"boot loader! " * 300)
    if kind.offset:
        image.move_metadata(kind.offset)
    if kind.solaris:
        state = {"clean": CLEAN, "stable": STABLE, "rolled": LOGGING}[kind.solaris]
        image.leave(state, ALL_ROLLED if state == LOGGING else 0)
        # the log's list of pieces is a block of its own; here the last block of inodes of group 0 stands for it
        block = (image.field("dblkno") - image.field("frag")) * image.field("fsize") // 512
        image.set("logbno", block if state == LOGGING else 0)
    return image


@pytest.fixture(scope="session")
def made_ufs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], UfsImage]:
    """The image of the kind of this name, made once. Not to be written to."""
    folder = tmp_path_factory.mktemp("ufs")
    by_name = {kind.name: kind for kind in KINDS}
    known: dict[str, UfsImage] = {}

    def make(name: str) -> UfsImage:
        if name not in known:
            known[name] = make_ufs(by_name[name], folder / f"{name}.img")
        return known[name]

    return make


@pytest.fixture(params=[kind.name for kind in KINDS])
def every_ufs(request: pytest.FixtureRequest, made_ufs: Callable[[str], UfsImage]) -> UfsImage:
    """An image of each kind in turn."""
    return made_ufs(request.param)


@pytest.fixture
def own_ufs(made_ufs: Callable[[str], UfsImage], tmp_path: Path) -> Callable[[str], UfsImage]:
    """A copy of the image of a kind, to be written to."""

    def copy(kind: str) -> UfsImage:
        volumes.run("cp", "--sparse=always", made_ufs(kind).path, tmp_path / "own.img")
        return UfsImage(tmp_path / "own.img", made_ufs(kind).order)

    return copy
