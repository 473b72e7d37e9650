"""Btrfs images of many kinds, made by mkfs.btrfs, filled and aged by the kernel; and what others say of them."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import attrs
import pytest

from holdstill.model.extents import Extents, union_of
from holdstill_filesystems import plugin
from holdstill_testing.btrfs_forge import Forge
from holdstill_testing.btrfs_life import Life
from holdstill_testing.destruction import answer, destroy
from holdstill_testing.fakes.file_reader import FileReader
from holdstill_testing.torture import full

MIB = 1 << 20
#: what a boot loader might have left before the superblock
BOOT = b"boot loader! " * 5000


def run(*command: str | Path, ok: tuple[int, ...] = (0,)) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, errors="replace")
    assert done.returncode in ok, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@attrs.frozen
class Kind:
    """How to make one kind of image: what mkfs.btrfs is told, how it is mounted, and what happens to it (in order).

    ``slow`` kinds are made in torture runs only. ``checkable``: does the btrfs-progs of Debian 12 understand it?
    """

    name: str
    options: str = ""
    life: str = "fill age"
    size: int = 128 * MIB
    mount: str = "noatime"
    slow: bool = False
    checkable: bool = True


OLD = "-O ^no-holes,^extref,^skinny-metadata -R ^free-space-tree"
KINDS = [
    Kind("empty", life="", slow=True),
    Kind("default"),
    Kind("single-metadata", "-m single -d single", slow=True),
    Kind("dup-data", "-d dup -m dup", size=256 * MIB, slow=True),
    Kind("mixed", "-M", size=64 * MIB),
    Kind("mixed-single", "-M -m single -d single", size=48 * MIB, slow=True),
    Kind("small", "-M -m single -d single", life="fill", size=18 * MIB),
    Kind("nodes-4k", "-n 4096", life="fill many age"),
    Kind("nodes-64k", "-n 65536", slow=True),
    Kind("xxhash", "--csum xxhash"),
    Kind("sha256", "--csum sha256", slow=True),
    Kind("blake2", "--csum blake2", slow=True),
    Kind("old-features", OLD, mount="noatime,nospace_cache"),
    Kind("space-cache-v1", "-R ^free-space-tree", mount="noatime,space_cache=v1", slow=True),
    Kind("changed-uuid", life="fill age metadata_uuid", slow=True),
    Kind("compressed", mount="noatime,compress-force=zstd:3", slow=True),
    Kind("compressed-lzo", mount="noatime,compress-force=lzo", slow=True),
    Kind("no-data-checksums", mount="noatime,nodatasum", slow=True),
    Kind("balanced", life="fill age balance", size=256 * MIB),
    Kind("balanced-to-single", life="fill age balance_single", size=256 * MIB, slow=True),
    Kind("grown", "-b 120m", life="fill grow age", size=256 * MIB, slow=True),
    Kind("shrunk", life="fill age balance shrink", size=320 * MIB),
    Kind("full", life="fill stuff", size=112 * MIB, slow=True),
    Kind("deleting", life="fill many snapshots drop frozen", slow=True),
    Kind("block-group-tree", life="block_group_tree fill age"),
    Kind("block-group-tree-balanced", life="block_group_tree fill age balance", size=256 * MIB, slow=True),
    Kind("balancing", life="fill many snapshots balancing crash cancel", size=256 * MIB, slow=True),
    Kind("cut-off", life="fill many age many_more crash", mount="noatime,commit=1", slow=True),
    Kind("converted", life="convert fill age", size=256 * MIB, slow=True),
    Kind("quota", "-R quota", slow=True),
    Kind("simple-quota", life="simple_quota fill age", checkable=False, slow=True),
    Kind("odd-size", size=128 * MIB + 7 * 512 + 4096, slow=True),
]
#: what happens while it is not mounted; the rest is done by ``Life``
UNMOUNTED = ("convert", "block_group_tree", "metadata_uuid")
#: no map is made of it, so it is not among the others
FLUSHED = Kind("flushed", life="fill flush crash", mount="noatime,commit=300")
BY_NAME = {kind.name: kind for kind in (*KINDS, FLUSHED)}


# --- an image -----------------------------------------------------------------------------------------


@contextmanager
def attached(image: Path, *options: str) -> Iterator[str]:
    """The image as a loop device."""
    device = run("losetup", "--find", "--show", *options, image).strip()
    try:
        yield device
    finally:
        run("losetup", "-d", device)


@contextmanager
def mounted(device: str, point: Path, options: str, kind: str = "btrfs") -> Iterator[Path]:
    point.mkdir(exist_ok=True)
    run("mount", "-t", kind, "-o", options, device, point)
    try:
        yield point
    finally:
        run("umount", point)


@contextmanager
def lived_in(image: Path, kind: Kind) -> Iterator[Life]:
    """The image mounted, to be lived in. If it is to be cut off it lies on an XFS meanwhile, where files are cloned."""
    with ExitStack() as stack:
        place = image
        if "crash" in kind.life:
            host = image.with_suffix(".host")
            with host.open("wb") as file:
                file.truncate(1 << 30)
            run("mkfs.xfs", "-q", host)
            device = stack.enter_context(attached(host))
            place = stack.enter_context(mounted(device, image.with_suffix(".hosted"), "noatime", "xfs")) / image.name
            run("cp", "--sparse=always", image, place)
        device = stack.enter_context(attached(place))
        point = stack.enter_context(mounted(device, image.with_suffix(".mnt"), kind.mount))
        yield Life(point, place, kind.name)
        if {"frozen", "crash"} & set(kind.life.split()):
            run("cp", "--sparse=always", place.with_suffix(".taken"), image.with_suffix(".chosen"))
    if image.with_suffix(".chosen").exists():
        image.with_suffix(".chosen").rename(image)


class BtrfsImage:
    """An image, and what btrfs-progs and the kernel say of it."""

    def __init__(self, path: Path, kind: Kind) -> None:
        self.path = path
        self.kind = kind

    @property
    def size(self) -> int:
        return self.path.stat().st_size

    def super(self, field: str) -> str:
        """A field of the superblock, as btrfs-progs show it."""
        told = run("btrfs", "inspect-internal", "dump-super", "-f", self.path)
        return re.search(rf"^{re.escape(field)}\s+(\S+)", told, re.MULTILINE).group(1)

    def features(self) -> str:
        """The names of what is on."""
        return run("btrfs", "inspect-internal", "dump-super", self.path)

    def chunks(self) -> list[tuple[int, int, list[int]]]:
        """Each chunk's logical start, its length, and where its copies begin, as btrfs-progs show them."""
        told = run("btrfs", "inspect-internal", "dump-tree", "-t", "chunk", self.path)
        found = []
        for part in told.split("CHUNK_ITEM ")[1:]:
            logical, length = re.match(r"(\d+)\)", part).group(1), re.search(r"length (\d+)", part).group(1)
            stripes = re.findall(r"stripe \d+ devid 1 offset (\d+)", part)
            found.append((int(logical), int(length), [int(offset) for offset in stripes]))
        return found

    def truth(self) -> Extents:
        """What the extent tree holds, by btrfs-progs, all copies, and what is used beside it."""
        told = run("btrfs", "inspect-internal", "dump-tree", "-t", "extent", self.path)
        node_size = int(self.super("nodesize"))
        found = re.findall(r"key \((\d+) (EXTENT_ITEM|METADATA_ITEM) (\d+)\)", told)
        extents = [(int(at), int(number) if kind == "EXTENT_ITEM" else node_size) for at, kind, number in found]
        return self.on_device(Extents.of(*extents)).union(self.outside_trees())

    def allocated(self) -> Extents | None:
        """What the free space tree does not call free, all copies; None where it says that with bitmaps."""
        told = run("btrfs", "inspect-internal", "dump-tree", "-t", "10", self.path)
        if "FREE_SPACE_BITMAP" in told:
            return None
        free = re.findall(r"key \((\d+) FREE_SPACE_EXTENT (\d+)\)", told)
        chunks = Extents.of(*((logical, length) for logical, length, _ in self.chunks()))
        return self.on_device(chunks.difference(Extents.of(*((int(at), int(length)) for at, length in free))))

    def on_device(self, logical: Extents) -> Extents:
        """Where on the device all copies of this are."""
        return union_of(
            logical.clip(start, start + length).shift(place - start)
            for start, length, places in self.chunks()
            for place in places
        )

    def outside_trees(self) -> Extents:
        """What is used though no tree says so."""
        end = int(self.super("dev_item.total_bytes"))
        copies = [(at, 4096) for at in (64 << 10, 64 << 20) if at + 4096 <= self.size]
        return Extents.of((0, MIB), *copies, (end, self.size - end))

    def map(self) -> Extents:
        """What the plugin says is used."""
        with FileReader(self.path) as reader:
            found = answer(reader, plugin)
        assert isinstance(found, Extents), found
        return found

    def fsck(self) -> str | None:
        """What ``btrfs check`` objects to."""
        if not self.kind.checkable:
            return None
        command = ["btrfs", "check", "--readonly", "--check-data-csum", self.path]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        return None if done.returncode == 0 else done.stdout + done.stderr

    def files(self) -> dict[str, str]:
        """The digest of every file of all subvolumes, read through a mount; what scrub finds wrong is among them."""
        with attached(self.path, "--read-only") as device, mounted(device, self.path.with_suffix(".ro"), "ro") as top:
            found = {
                str(path.relative_to(top)): _digest(path)
                for path in sorted(top.rglob("*"))
                if path.is_file() and not path.is_symlink()
            }
            return found | {"what scrub finds": str(_scrub(top))}

    def outside(self) -> list[bytes]:
        """What no tree tells of: the boot area, and the copies of the superblock."""
        with self.path.open("rb") as image:
            found = [image.read(64 << 10)]
            for place in (64 << 10, 64 << 20):
                image.seek(place)
                found.append(image.read(4096))
        return found

    def destroyed(self, to: Path, used: Extents) -> BtrfsImage:
        """A copy in which every byte outside ``used`` is noise."""
        return BtrfsImage(destroy(self.path, to, used), self.kind)

    def missing_from(self, other: BtrfsImage) -> str | None:
        """What of this sound image ``other`` has lost (a sentence), or None."""
        if other.outside() != self.outside():
            return "the boot area or a copy of the superblock differs"
        if complaint := other.fsck():
            return complaint
        try:
            found = other.files()
        except (AssertionError, OSError) as refused:
            return f"it cannot be mounted and read: {refused}"
        expected = self.files()
        return None if found == expected else f"files differ: {found.items() ^ expected.items()}"


def _scrub(point: Path) -> dict[str, int]:
    """The errors in any copy of anything, as the kernel counts them (BTRFS_IOC_SCRUB, read-only, on device 1)."""
    arguments = bytearray(struct.pack("<QQQQ", 1, 0, 2**64 - 1, 1).ljust(1024, b"\0"))
    handle = os.open(point, os.O_RDONLY)
    try:
        fcntl.ioctl(handle, 0xC400941B, arguments)
    finally:
        os.close(handle)
    counted = struct.unpack_from("<15Q", arguments, 32)
    assert counted[1] > 0, "it has looked at no tree"
    names = {4: "read", 5: "checksum", 6: "verify", 9: "superblock", 11: "uncorrectable", 14: "unverified"}
    return {name: counted[at] for at, name in names.items() if counted[at]}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def make(kind: Kind, path: Path) -> BtrfsImage:
    """An image of the kind, lived in."""
    with path.open("wb") as image:
        image.truncate(kind.size)
    first = [deed for deed in kind.life.split() if deed in UNMOUNTED]
    if "convert" in first:
        run("mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-d", Path(__file__).parent, path)
        run("btrfs-convert", path)
    else:
        run("mkfs.btrfs", "-q", "-f", "-K", *kind.options.split(), path)
    if "block_group_tree" in first:
        Forge(path).move_block_groups()
    deeds = [deed for deed in kind.life.split() if deed not in UNMOUNTED]
    if deeds:
        with lived_in(path, kind) as life:
            for deed in deeds:
                getattr(life, deed)()
    if "metadata_uuid" in first:
        run("btrfstune", "-m", path)
    with path.open("r+b") as image:
        image.write(BOOT)
    return BtrfsImage(path, kind)


# --- fixtures -----------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _root_only(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("root") and os.geteuid() != 0:
        pytest.skip("needs root")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], BtrfsImage]:
    """Makes an image of a kind, by its name, once. Not to be written to."""
    folder = tmp_path_factory.mktemp("btrfs")
    known: dict[str, BtrfsImage] = {}

    def once(name: str) -> BtrfsImage:
        if name not in known:
            known[name] = make(BY_NAME[name], folder / f"{name}.img")
        return known[name]

    return once


@pytest.fixture(params=[kind.name for kind in KINDS if full() or not kind.slow])
def every_kind(request: pytest.FixtureRequest, made: Callable[[str], BtrfsImage]) -> BtrfsImage:
    """An image of each kind in turn; of the slow ones in a torture run."""
    return made(request.param)


@pytest.fixture
def life_of() -> Callable[[Path], AbstractContextManager[Path]]:
    """Mounts an image for as long as it is entered."""

    @contextmanager
    def live(image: Path) -> Iterator[Path]:
        with attached(image) as device, mounted(device, image.with_suffix(".mnt"), "noatime") as point:
            yield point

    return live


@pytest.fixture
def btrfs_image() -> type[BtrfsImage]:
    """The class, for images that a test makes itself."""
    return BtrfsImage


@pytest.fixture(scope="session")
def tool() -> Callable[..., str]:
    """Runs a program and hands back what it printed; its exit code must be 0, or one of ``ok``."""
    return run
