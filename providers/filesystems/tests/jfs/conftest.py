"""JFS images: new ones of mkfs.jfs, and the aged ones beside this file, read by a walker that knows no block map."""

from __future__ import annotations

import hashlib
import re
import struct
import subprocess
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path

import attrs
import pytest

from holdstill.model.extents import Extents
from holdstill_filesystems import plugin
from holdstill_testing.destruction import answer, destroy
from holdstill_testing.fakes.file_reader import FileReader

MIB = 1 << 20
BLOCK = 4096
AGED = Path(__file__).with_name("aged")
#: name: size, options of mkfs.jfs, how many blocks (all of the volume, if it does not say)
NEW = {
    "new": (16 * MIB, "", ""),
    "new-odd-size": (19 * MIB + 7 * 512, "-L label", ""),
    "new-os2-large-log": (48 * MIB, "-O -s 4", ""),
    "new-short": (40 * MIB, "", "6000"),
    "new-far-shorter": (120 * MIB, "-s 1", "5000"),
    "new-one-bitmap-page": (33 * MIB, "-s 1", ""),
    "new-many-groups": (2 << 30, "-s 1", ""),
}
KINDS = [*sorted(NEW), *sorted(path.name.removesuffix(".tar.xz") for path in AGED.glob("*.tar.xz"))]


def run(*command: str | Path, ok: tuple[int, ...] = (0,)) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, errors="replace")
    assert done.returncode in ok, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


class Walker:
    """Follows every inode to its blocks: those of a file are read, those of all are remembered.

    Source: Linux fs/jfs/jfs_{dinode,imap,xtree,dtree,types}.h.
    """

    def __init__(self, path: Path) -> None:
        self.used: list[tuple[int, int]] = [(0, 0x10000)]
        self.files: dict[int, str] = {}
        with path.open("rb") as self._file:
            self._walk()

    def _walk(self) -> None:
        copies = struct.unpack("<8I", self._read(0x8000 + 48, 32))
        for pair in (copies[0:2], copies[2:4], copies[6:8]):  # inode table, inode map, log
            self._take(*self._pxd(*pair))
        self._take(*self._pxd(*struct.unpack("<2I", self._read(0x8000 + 80, 8))))
        self.fixed = len(self.used)
        for number in (1, 2):
            list(self._extents(self._aggregate(number), 224, 288))
        for number, inode in self._inodes(self._aggregate(16)):
            self._visit(number, inode)

    def _read(self, at: int, length: int) -> bytes:
        self._file.seek(at)
        return self._file.read(length)

    def _take(self, block: int, length: int) -> None:
        self.used.append((block * BLOCK, length * BLOCK))

    @staticmethod
    def _pxd(first: int, low: int) -> tuple[int, int]:
        return (first >> 24) << 32 | low, first & 0xFFFFFF

    def _aggregate(self, number: int) -> bytes:
        return self._read(0xB000 + number * 512, 512)

    def _inodes(self, of_map: bytes) -> Iterator[tuple[int, bytes]]:
        """All inodes in use that the map in this inode knows."""
        pages = [place + at for place, length in self._extents(of_map, 224, 288) for at in range(0, length, BLOCK)]
        for group, place in enumerate(pages[1:]):
            page = self._read(place, BLOCK)
            for index in range(128):
                block, length = self._pxd(*struct.unpack_from("<2I", page, 3072 + 8 * index))
                if not length:
                    continue
                self._take(block, length)
                working, bits = (struct.unpack_from("<I", page, at + 4 * index)[0] for at in (2048, 2560))
                table = self._read(block * BLOCK, length * BLOCK)
                for bit in range(32):
                    if (bits | working) >> (31 - bit) & 1:
                        yield group * 4096 + index * 32 + bit, table[bit * 512 : bit * 512 + 512]

    def _extents(self, page: bytes, at: int, room: int) -> Iterator[tuple[int, int]]:
        """Offset and length in bytes of what the tree at ``at`` names, in order."""
        kind, following = page[at + 16], struct.unpack_from("<H", page, at + 18)[0]
        assert 2 <= following <= room // 16
        for slot in range(2, following):
            block, length = self._pxd(*struct.unpack_from("<2I", page, at + 16 * slot + 8))
            self._take(block, length)
            if kind & 2:
                yield block * BLOCK, length * BLOCK
            else:
                yield from self._extents(self._read(block * BLOCK, BLOCK), 0, BLOCK)

    def _visit(self, number: int, inode: bytes) -> None:
        (size,) = struct.unpack_from("<q", inode, 24)
        kind = struct.unpack_from("<I", inode, 52)[0] >> 12 & 0xF
        for at in (88, 104):  # access lists, and other attributes, if in an extent of their own
            if inode[at] & 0x20:
                self._take(*self._pxd(*struct.unpack_from("<2I", inode, at + 8)))
        if kind == 4:
            self._visit_directory(inode)
        elif kind == 8:
            self.files[number] = self._digest(inode, size)
        elif kind == 10:
            short = hashlib.sha256(inode[256 : 256 + size]).hexdigest()
            self.files[number] = short if size < 256 else self._digest(inode, size)

    def _digest(self, inode: bytes, size: int) -> str:
        digest, reached = hashlib.sha256(), 0
        assert struct.unpack_from("<H", inode, 242)[0] <= 18
        for logical, (place, length) in self._mapped(inode, 224):
            digest.update(bytes(logical - reached))
            digest.update(self._read(place, min(length, size - logical)))
            reached = logical + length
        digest.update(bytes(max(0, size - reached)))
        return digest.hexdigest()

    def _mapped(self, page: bytes, at: int) -> Iterator[tuple[int, tuple[int, int]]]:
        """Where each extent stands in the file, and where it lies."""
        kind, following = page[at + 16], struct.unpack_from("<H", page, at + 18)[0]
        for slot in range(2, following):
            high, low, first, second = struct.unpack_from("<B3I", page, at + 16 * slot + 3)
            block, length = self._pxd(first, second)
            self._take(block, length)
            if kind & 2:
                yield (high << 32 | low) * BLOCK, (block * BLOCK, length * BLOCK)
            else:
                yield from self._mapped(self._read(block * BLOCK, BLOCK), 0)

    def _visit_directory(self, inode: bytes) -> None:
        if inode[224 + 16] & 4:
            self._descend(inode, 224, list(inode[224 + 24 : 224 + 32])[: inode[224 + 17]])
        if struct.unpack_from("<I", inode, 120)[0] > 13:  # more entries than the table in the inode has room for
            list(self._extents(inode, 128, 96))

    def _descend(self, page: bytes, at: int, slots: list[int]) -> None:
        for slot in slots:
            block, length = self._pxd(*struct.unpack_from("<2I", page, at + 32 * slot))
            self._take(block, length)
            child = self._read(block * BLOCK, length * BLOCK)
            if child[16] & 4:
                table = 32 * child[21]
                self._descend(child, 0, list(child[table : table + child[17]]))


@attrs.frozen(slots=False)
class JfsImage:
    """An image, and what is known of it by other roads than ours."""

    path: Path
    sums: dict[int, str] = attrs.field(factory=dict)
    """The digest of each inode's file, as the kernel read it."""

    @property
    def size(self) -> int:
        return self.path.stat().st_size

    def words(self, at: int, count: int) -> tuple[int, ...]:
        """32-bit words of the superblock."""
        with FileReader(self.path) as reader:
            return struct.unpack(f"<{count}I", reader.read(0x8000 + at, 4 * count))

    @property
    def flags(self) -> int:
        return self.words(36, 1)[0]

    @property
    def log(self) -> int:
        """Where the log begins, in bytes."""
        return self.words(72, 2)[1] * BLOCK

    @cached_property
    def honest(self) -> Extents:
        """What the plugin says of the image as it was made."""
        return self.map()

    def map(self) -> Extents:
        """What the plugin says is used."""
        with FileReader(self.path) as reader:
            found = answer(reader, plugin)
        assert isinstance(found, Extents), found
        return found

    @cached_property
    def walker(self) -> Walker:
        """What is reached from the inodes; the image is walked once."""
        return Walker(self.path)

    def walked(self) -> Extents:
        """What the walk went through, and what lies at fixed places."""
        return Extents.of(*self.walker.used)

    def fixed(self) -> list[bytes]:
        """What no inode names and fsck does not look at: the boot area, and what lies behind the blocks of the map."""
        with FileReader(self.path) as reader:
            return [reader.read(offset, length) for offset, length in self.walker.used[: self.walker.fixed]]

    def fsck(self) -> str:
        """What ``jfs_fsck -n -v`` says, without when, where and how long."""
        told = run("jfs_fsck", "-n", "-v", self.path, ok=(0, 1, 4, 16))
        return re.sub(r"(?m)^(processing .*|.*device is:.*)$", "", told).replace(str(self.path), "")

    def destroyed(self, to: Path, used: Extents) -> JfsImage:
        """A copy in which what is not ``used`` is noise; of gaps that are long only both ends, to spare the disk."""
        gaps = self.walked().complement(self.size)
        middles = [(start + MIB, length - 2 * MIB) for start, length in gaps if length > 8 * MIB]
        return JfsImage(destroy(self.path, to, used.union(Extents.of(*middles))), self.sums)

    def missing_from(self, other: JfsImage) -> str | None:
        """What of this image ``other`` has lost (a sentence), or None."""
        if other.fsck() != self.fsck():
            return "jfs_fsck says something else"
        try:
            if other.fixed() != self.fixed():
                return "the boot area, the log or a copy differs"
            if other.walker.files != self.walker.files:
                return "files differ"
            if other.walked() != self.walked():
                return "the inodes name other blocks"
        except (AssertionError, struct.error, OSError, RecursionError) as lost:
            return f"the inodes cannot be followed: {lost!r}"
        return None


def make(name: str, path: Path) -> JfsImage:
    if name in NEW:
        size, options, blocks = NEW[name]
        with path.open("wb") as image:
            image.truncate(size)
        run("mkfs.jfs", "-q", *options.split(), path, *blocks.split())
        return JfsImage(path)
    run("tar", "-C", path.parent, "-xJf", AGED / f"{name}.tar.xz")
    lines = (AGED / f"{name}.sums").read_text().splitlines()
    return JfsImage(path, {int(line.split()[1]): line.split()[0] for line in lines})


@pytest.fixture(scope="session")
def jfs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], JfsImage]:
    """The image of a kind. Not to be written to."""
    folder = tmp_path_factory.mktemp("jfs")
    known: dict[str, JfsImage] = {}

    def of_kind(name: str) -> JfsImage:
        if name not in known:
            known[name] = make(name, folder / f"{name}.img")
        return known[name]

    return of_kind


@pytest.fixture(params=KINDS)
def every_kind(request: pytest.FixtureRequest, jfs: Callable[[str], JfsImage]) -> JfsImage:
    """An image of each kind in turn."""
    return jfs(request.param)


@pytest.fixture(params=[kind for kind in KINDS if kind not in NEW])
def every_aged(request: pytest.FixtureRequest, jfs: Callable[[str], JfsImage]) -> JfsImage:
    """Each image that the kernel has worked on."""
    return jfs(request.param)


@pytest.fixture
def new_jfs(tmp_path: Path) -> Callable[[int, str], JfsImage]:
    """Makes an image of its own for one test: its size, and options of mkfs.jfs."""

    def new(size: int, options: str) -> JfsImage:
        path = tmp_path / "own.img"
        with path.open("wb") as image:
            image.truncate(size)
        run("mkfs.jfs", "-q", *options.split(), path)
        return JfsImage(path)

    return new


@pytest.fixture
def jfs_image() -> type[JfsImage]:
    """The class, for images that a test makes itself."""
    return JfsImage
