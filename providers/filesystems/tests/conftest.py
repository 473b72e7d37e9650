"""Real ext images of every kind that mke2fs makes, filled, aged, and looked at by e2fsprogs: a road of its own."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import numpy as np
import pytest

from holdstill.model.blockmap import BlockMap
from holdstill.model.extents import Extents, union_of
from holdstill_filesystems import plugin
from holdstill_testing.fakes.file_reader import FileReader
from holdstill_testing.torture import dice

MIB = 1 << 20
#: what a boot loader might have left before the superblock
BOOT = b"boot loader! " * 78 + bytes(10)


def run(*command: str | Path, ok: tuple[int, ...] = (0,), **more: object) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, errors="replace", **more)
    assert done.returncode in ok, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@attrs.frozen
class Kind:
    """How to make one kind of image: its size in bytes, and what mke2fs is told.

    ``blocks``: not all of the volume. ``later``: what debugfs does, and e2fsck completes, because mke2fs does not.
    """

    name: str
    options: str
    size: int = 24 * MIB
    files: int = 40
    blocks: str = ""
    later: str = ""


KINDS = [
    Kind("ext2-1k", "-t ext2 -b 1024"),
    Kind("ext2-revision-0", "-t ext2 -b 1024 -r 0"),
    Kind("ext2-2k", "-t ext2 -b 2048"),
    Kind("ext2-4k-no-resize", "-t ext2 -b 4096 -O ^resize_inode"),
    Kind("ext2-every-group-a-copy", "-t ext2 -b 1024 -O ^sparse_super,^resize_inode -g 1024"),
    Kind("ext2-hurd", "-t ext2 -o hurd -b 4096 -I 128"),
    Kind("ext2-tiny", "-t ext2 -b 1024 -N 16", 72 << 10, 0),
    Kind("ext2-inode-128", "-t ext2 -I 128 -i 1024"),
    Kind("ext3-1k", "-t ext3 -b 1024"),
    Kind("ext3-4k", "-t ext3 -b 4096"),
    Kind("ext3-2k-odd-size", "-t ext3 -b 2048", 23 * MIB + 7 * 512),
    Kind("ext4-default", "-t ext4"),
    Kind("ext4-1k", "-t ext4 -b 1024"),
    Kind("ext4-2k", "-t ext4 -b 2048"),
    Kind("ext4-4k", "-t ext4 -b 4096", 160 * MIB),
    Kind("ext4-8k", "-t ext4 -b 8192", 64 * MIB),
    Kind("ext4-64k", "-t ext4 -b 65536 -J size=64", 160 * MIB),
    Kind("ext4-32-bit", "-t ext4 -b 1024 -O ^64bit"),
    Kind("ext4-no-checksums", "-t ext4 -b 1024 -O ^metadata_csum"),
    Kind("ext4-uninit-bg", "-t ext4 -b 1024 -O ^metadata_csum,uninit_bg"),
    Kind("ext4-uninit-bg-32-bit", "-t ext4 -b 1024 -O ^metadata_csum,uninit_bg,^64bit"),
    Kind("ext4-uninit-no-flex", "-t ext4 -b 1024 -O ^flex_bg,^resize_inode -g 1024"),
    Kind("ext4-no-journal", "-t ext4 -b 1024 -O ^has_journal"),
    Kind("ext4-no-flex", "-t ext4 -b 1024 -O ^flex_bg"),
    Kind("ext4-flex-2", "-t ext4 -b 1024 -G 2 -g 1024"),
    Kind("ext4-packed", "-t ext4 -b 1024 -g 512 -E packed_meta_blocks=1"),
    Kind("ext4-meta-bg", "-t ext4 -b 1024 -g 512 -O meta_bg,^resize_inode"),
    Kind("ext4-meta-bg-32-bit-no-flex", "-t ext4 -b 1024 -g 512 -O meta_bg,^resize_inode,^64bit,^flex_bg -N 2000"),
    Kind("ext4-meta-bg-uninit", "-t ext4 -b 1024 -g 256 -O meta_bg,^resize_inode,^metadata_csum,uninit_bg -N 2000"),
    Kind("ext4-meta-bg-every-group-a-copy", "-t ext4 -b 1024 -g 1024 -O meta_bg,^resize_inode,^sparse_super"),
    Kind("ext4-meta-bg-from-1", "-t ext4 -b 1024 -g 512 -O meta_bg,^resize_inode", later="ssv first_meta_bg 1"),
    Kind("ext4-sparse-super2", "-t ext4 -b 1024 -O sparse_super2"),
    Kind("ext4-sparse-super2-one-copy", "-t ext4 -b 1024 -O sparse_super2 -E num_backup_sb=1"),
    Kind("ext4-sparse-super2-no-copy", "-t ext4 -b 1024 -O sparse_super2 -E num_backup_sb=0"),
    Kind("ext4-bigalloc-1k", "-t ext4 -b 1024 -O bigalloc -C 8192"),
    Kind("ext4-bigalloc-1k-meta-bg", "-t ext4 -b 1024 -O bigalloc,meta_bg,^resize_inode -C 4096 -g 4096"),
    Kind("ext4-bigalloc-4k-odd-size", "-t ext4 -b 4096 -O bigalloc -C 65536", 45 * MIB + 5 * 4096),
    Kind("ext4-bigalloc-no-checksums", "-t ext4 -b 1024 -O bigalloc,^metadata_csum -C 16384"),
    Kind("ext4-short-last-group", "-t ext4 -b 1024", 24 * MIB, 40, "16999"),
    Kind("ext4-quota-project", "-t ext4 -b 1024 -O quota,project -E quotatype=usrquota:grpquota:prjquota"),
    Kind("ext4-checksum-seed", "-t ext4 -b 1024 -O metadata_csum_seed"),
    Kind("ext4-mmp", "-t ext4 -b 1024 -O mmp", files=0),
    Kind("ext4-orphan-fast-commit", "-t ext4 -b 1024 -O orphan_file,fast_commit", 40 * MIB),
    Kind("ext4-casefold-encrypt-verity", "-t ext4 -b 1024 -O casefold,encrypt,verity,stable_inodes"),
    Kind("ext4-inline-ea-large-dir", "-t ext4 -b 1024 -I 512 -O inline_data,ea_inode,large_dir"),
    Kind("ext4-shared-blocks", "-t ext4 -b 1024 -O ^has_journal", later="feature shared_blocks"),
]


class ExtImage:
    """An image, and what e2fsprogs say of it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def size(self) -> int:
        return self.path.stat().st_size

    def header(self) -> dict[str, str]:
        """``dumpe2fs -h`` as a table."""
        lines = run("dumpe2fs", "-h", self.path).splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}

    def truth(self) -> Extents:
        """What dumpe2fs does not list as free, in bytes, up to the end of the file system.

        It lists blocks; with bigalloc, the first block of each cluster.
        """
        header = self.header()
        block_size, blocks = int(header["Block size"]), int(header["Block count"])
        step = int(header.get("Cluster size", block_size)) // block_size
        free = np.zeros(blocks, dtype=np.bool_)
        for line in re.findall(r"^  Free blocks: (.+)$", run("dumpe2fs", self.path), re.MULTILINE):
            for run_of in line.split(", "):
                first, _, last = run_of.partition("-")
                free[int(first) : int(last or first) + step] = True
        return Extents.from_bitmap(~free, block_size)

    def map(self) -> Extents:
        """What the plugin says is used."""
        with FileReader(self.path) as reader:
            facts = plugin.recognise(reader)
            answer = plugin.enumerate_used_blocks(reader, facts)
            assert isinstance(answer, BlockMap), answer
            return union_of(answer.windows)

    def fsck(self) -> str | None:
        """What ``e2fsck -fn`` objects to."""
        done = subprocess.run(["e2fsck", "-fn", self.path], capture_output=True, text=True, errors="replace")
        return None if done.returncode == 0 else done.stdout + done.stderr

    def files(self) -> dict[str, str]:
        """The digest of every file, read by debugfs."""
        out = self.path.with_suffix(".files")
        run("rm", "-rf", out)
        out.mkdir()
        run("debugfs", "-R", f"rdump / {out}", self.path)
        found = {
            str(file.relative_to(out)): hashlib.sha256(file.read_bytes()).hexdigest()
            for file in out.rglob("*")
            if file.is_file() and not file.is_symlink()
        }
        run("rm", "-rf", out)
        return found

    def copies(self) -> dict[int, str]:
        """Where each copy of the superblock says that the bitmaps and inode tables are, by its block."""
        block_size = self.header()["Block size"]
        everything = run("dumpe2fs", self.path)
        places = re.findall(r"(?:Backup|Primary) superblock at (\d+)", everything)
        return {int(at): self._layout(at, block_size) for at in places}

    def _layout(self, superblock: str, block_size: str) -> str:
        told = subprocess.run(
            ["dumpe2fs", "-o", f"superblock={superblock}", "-o", f"blocksize={block_size}", self.path],
            capture_output=True,
            text=True,
            errors="replace",
        )
        return "\n".join(re.findall(r"(?:bitmap|table) at \d+", told.stdout)) or told.stderr

    def boot(self) -> bytes:
        with self.path.open("rb") as image:
            return image.read(1024)

    def copy(self, to: Path) -> ExtImage:
        run("cp", "--sparse=always", self.path, to)
        return ExtImage(to)

    def destroyed(self, to: Path, used: Extents) -> ExtImage:
        """A copy in which every byte outside ``used`` is noise."""
        other = self.copy(to)
        generator = np.random.default_rng(dice("noise").getrandbits(64))
        with to.open("r+b") as image:
            for offset, length in used.complement(self.size):
                image.seek(offset)
                image.write(generator.bytes(length))
        return other

    def missing_from(self, other: ExtImage) -> str | None:
        """What of this sound image ``other`` has lost (a sentence), or None."""
        if other.boot() != self.boot():
            return "the boot area differs"
        if complaint := other.fsck():
            return complaint
        if other.files() != self.files():
            return "files differ"
        return None if other.copies() == self.copies() else "a copy of the superblock or descriptors is lost"


def fill_tree(top: Path, number: int, name: str) -> None:
    """``number`` files of many sizes in a few directories; some with holes, some empty."""
    chance = dice(name)
    top.mkdir()
    for index in range(number):
        folder = top / f"dir{index % 5}"
        folder.mkdir(exist_ok=True)
        with (folder / f"file{index}").open("wb") as file:
            if index % 7 == 6:
                file.seek(chance.randrange(1 << 20))
            file.write(
                chance.randbytes(chance.choice((0, 30, 500, 3000, 20_000, 90_000, 200_000)) * (index % 11 != 10))
            )
    if number:
        os.symlink("dir0/file0", top / "link")


def make_ext(kind: Kind, path: Path, *more: str) -> ExtImage:
    """An image of the kind, filled, with holes where files were deleted."""
    tree = path.with_suffix(".tree")
    fill_tree(tree, kind.files, "tree")
    with path.open("wb") as image:
        image.truncate(kind.size)
    run("mke2fs", "-q", "-F", "-d", tree, *kind.options.split(), *more, path, *kind.blocks.split())
    if kind.later:
        run("debugfs", "-w", "-R", kind.later, path)
        run("e2fsck", "-fy", path, ok=(0, 1))
    script = [f"rm /dir{index % 5}/file{index}" for index in range(0, kind.files, 3)]
    script += [f"write {tree}/dir1/file{index} /again{index}" for index in range(1, kind.files, 15)]
    if script:  # every open for writing of an image with mmp waits for ten seconds
        run("debugfs", "-w", "-f", "-", path, input="\n".join(script))
        run("e2fsck", "-fy", path, ok=(0, 1))  # debugfs keeps no quota
    run("rm", "-rf", tree)
    with path.open("r+b") as image:
        image.write(BOOT)
    return ExtImage(path)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Kind], ExtImage]:
    """Makes an image of a kind, once. Not to be written to."""
    folder = tmp_path_factory.mktemp("ext")
    known: dict[str, ExtImage] = {}

    def make(kind: Kind) -> ExtImage:
        if kind.name not in known:
            known[kind.name] = make_ext(kind, folder / f"{kind.name}.img")
        return known[kind.name]

    return make


@pytest.fixture(params=KINDS, ids=[kind.name for kind in KINDS])
def every_kind(request: pytest.FixtureRequest, made: Callable[[Kind], ExtImage]) -> ExtImage:
    """An image of each kind in turn."""
    return made(request.param)


@pytest.fixture
def of_kind(made: Callable[[Kind], ExtImage]) -> Callable[[str], ExtImage]:
    """The image of the kind of this name."""
    by_name = {kind.name: kind for kind in KINDS}
    return lambda name: made(by_name[name])


@pytest.fixture
def new_ext(tmp_path: Path) -> Callable[..., ExtImage]:
    """Makes an image of its own for one test: options of mke2fs, size, number of files."""
    return lambda options, size=24 * MIB, files=40: make_ext(Kind("own", options, size, files), tmp_path / "own.img")


@pytest.fixture
def e2fs() -> Callable[..., str]:
    """Runs a program and hands back what it printed; its exit code must be 0, or one of ``ok``."""
    return run


@pytest.fixture
def ext_image() -> type[ExtImage]:
    """The class, for images that a test makes itself."""
    return ExtImage


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[[Path, str], Path]]:
    """Mounts an image through a loop device; unmounted and detached at the end, whatever happened."""
    undo: list[list[str]] = []

    def mount(image: Path, options: str = "defaults") -> Path:
        point = tmp_path / f"mount{len(undo)}"
        point.mkdir()
        device = run("losetup", "--find", "--show", image).strip()
        undo.append(["losetup", "-d", device])
        run("mount", "-o", options, device, point)
        undo.append(["umount", str(point)])
        return point

    yield mount
    for command in reversed(undo):
        run(*command, ok=(0, 1, 32))
