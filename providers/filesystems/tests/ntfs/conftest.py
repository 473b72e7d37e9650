"""NTFS images: made by mkntfs, filled and aged by ntfs-3g (in user space), looked at by the tools that come with it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path

import attrs
import numpy as np
import pytest

from holdstill.model.extents import Extents
from holdstill_filesystems import plugin
from holdstill_testing.destruction import answer, destroy
from holdstill_testing.fakes.file_reader import FileReader
from holdstill_testing.torture import dice

MIB = 1 << 20
_COMPRESSED = 0x800


def run(*command: str | Path, ok: tuple[int, ...] = (0,)) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, errors="replace")
    assert done.returncode in ok, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@contextlib.contextmanager
def mounted(image: Path, options: str = "rw") -> Iterator[Path]:
    """The files of an image. The program that serves them is waited for: only then is all of it written."""
    if not os.access("/dev/fuse", os.W_OK) or os.geteuid() != 0:
        pytest.skip("needs root and /dev/fuse")
    point = image.with_name(f"{image.name}.mount")
    point.mkdir()
    server = subprocess.Popen(
        ["ntfs-3g", "-o", f"no_detach,compression,{options}", image, point],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        while not os.path.ismount(point):
            assert server.poll() is None, server.stderr.read()
            time.sleep(0.01)
        try:
            yield point
        finally:
            run("umount", point)
    except BaseException:
        server.terminate()
        raise
    finally:
        server.communicate()
        point.rmdir()


@attrs.frozen
class Kind:
    """How one kind of image is made: size in bytes, options of mkntfs, what is done in it, how many sectors of it."""

    name: str
    options: str
    fill: Callable[[Path], None] | None
    size: int = 32 * MIB
    sectors: str = ""


# --- what is done in it -------------------------------------------------------------------------------


def many(top: Path) -> None:
    """Files of many sizes, some compressed, with streams beside them; a third deleted, and written over."""
    chance = dice("ntfs/many")
    for name in ("small", "packed", "deep"):
        (top / name).mkdir()
    os.setxattr(top / "packed", "system.ntfs_attrib", struct.pack("<I", _COMPRESSED))
    for index in range(240):
        folder = top / ("packed" if index % 8 == 7 else "small")
        data = chance.randbytes(chance.choice((0, 1, 100, 700, 3000, 20_000, 70_000)))
        (folder / f"file number {index}").write_bytes(data * 3 if index % 8 == 7 else data)
    for index in range(0, 240, 3):
        (top / ("packed" if index % 8 == 7 else "small") / f"file number {index}").unlink()
    for index in range(20):
        (top / "deep" / f"again {index}").write_bytes(chance.randbytes(9000))
    os.setxattr(top / "small" / "file number 1", "user.stream", chance.randbytes(30_000))
    os.link(top / "small" / "file number 1", top / "link")
    with (top / "sparse").open("wb") as file:
        file.seek(5 * MIB)
        file.write(chance.randbytes(5000))


def fragment(top: Path) -> None:
    """Every second cluster free, then filled: by a file, and by the file table itself."""
    chance = dice("ntfs/fragment")
    place = os.statvfs(top)
    data = chance.randbytes(place.f_bsize)
    number = 0
    with contextlib.suppress(OSError):
        while True:
            (top / f"f{number}").write_bytes(data[:-8] + number.to_bytes(8, "big"))
            number += 1
    for index in range(0, number, 2):
        with contextlib.suppress(FileNotFoundError):
            (top / f"f{index}").unlink()
    (top / "in the gaps").write_bytes(chance.randbytes(place.f_bsize * (number // 16)))
    with contextlib.suppress(OSError):
        for index in range(4 * number):
            (top / f"tiny{index}").write_bytes(b"resident")
    for index in range(1, number // 4, 2):
        (top / f"f{index}").unlink(missing_ok=True)


def few(top: Path) -> None:
    """What fits a few large clusters."""
    chance = dice("ntfs/few")
    for index in range(8):
        (top / f"file{index}").write_bytes(chance.randbytes((10, 5000, 200_000)[index % 3]))
    for index in range(0, 8, 3):
        (top / f"file{index}").unlink()


def asleep(top: Path) -> None:
    """As a system leaves it that sleeps; its names fill more of the root's index than the root's own record."""
    for index in range(200):
        (top / f"a file with a name that is long, number {index}").touch()
    (top / "hiberfil.sys").write_bytes(b"HIBR" + b"what it holds " * 1000)


KINDS = [
    Kind("empty", "", None),
    Kind("slow-format-label", "-L label", many, 24 * MIB),
    Kind("clusters-512", "-Q -c 512", many),
    Kind("clusters-1k", "-Q -c 1024", fragment, 4 * MIB),
    Kind("clusters-4k", "-Q -c 4096", many),
    Kind("clusters-4k-fragmented", "-Q -c 4096", fragment, 16 * MIB),
    Kind("clusters-64k", "-Q -c 65536", many, 64 * MIB),
    Kind("clusters-2m", "-Q -c 2097152", few, 64 * MIB),
    Kind("sectors-4k", "-Q -s 4096 -c 4096", many),
    Kind("sectors-2k-odd-size", "-Q -s 2048 -c 8192", many, 33 * MIB + 5 * 2048),
    Kind("zone-4", "-Q -z 4", many),
    Kind("short", "-Q", many, 48 * MIB, "60001"),
    Kind("asleep", "-Q", asleep),
    Kind("far-shorter", "-Q", many, 112 * MIB, "50000"),
]


# --- looking at it --------------------------------------------------------------------------------------


@attrs.frozen(slots=False)
class NtfsImage:
    """An image, and what the tools of ntfs-3g say of it."""

    path: Path

    @property
    def size(self) -> int:
        return self.path.stat().st_size

    @cached_property
    def info(self) -> dict[str, str]:
        """``ntfsinfo -m`` as a table."""
        lines = run("ntfsinfo", "-m", self.path).splitlines()
        return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}

    @property
    def cluster(self) -> int:
        return int(self.info["Cluster Size"])

    @property
    def clusters(self) -> int:
        return int(self.info["Volume Size in Clusters"])

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

    def bitmap(self) -> Extents:
        """What the bitmap says, as ntfscat reads it."""
        done = subprocess.run(["ntfscat", "-i", "6", self.path], capture_output=True, check=True)
        bits = np.unpackbits(np.frombuffer(done.stdout, dtype=np.uint8), bitorder="little")
        return Extents.from_bitmap(bits[: self.clusters].astype(np.bool_), self.cluster)

    def check(self) -> str:
        """``ntfsresize`` compares the runs of every file with the bitmap; ``ntfsfix`` both boot sectors and the
        mirror.
        """
        told = run("ntfsresize", "--info", "--force", "--no-progress-bar", self.path, ok=(0, 1))
        return (told + run("ntfsfix", "-n", self.path, ok=(0, 1))).replace(str(self.path), "")

    @cached_property
    def files(self) -> dict[str, str]:
        """The digest of every file and stream, as ntfs-3g reads them."""
        found = {}
        with mounted(self.path, "ro") as top:
            for path in sorted(top.rglob("*")):
                if path.is_file():
                    name = str(path.relative_to(top))
                    found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
                    for stream in os.listxattr(path):
                        if stream.startswith("user."):
                            found[f"{name}:{stream}"] = hashlib.sha256(os.getxattr(path, stream)).hexdigest()
        return found

    def copy_of_boot_sector(self) -> bytes:
        with FileReader(self.path) as reader:
            sector, sectors = int.from_bytes(reader.read(11, 2), "little"), int.from_bytes(reader.read(40, 8), "little")
            return reader.read(sector * sectors, sector)

    def destroyed(self, to: Path, used: Extents) -> NtfsImage:
        """A copy in which what is not ``used`` is noise."""
        return NtfsImage(destroy(self.path, to, used))

    def missing_from(self, other: NtfsImage) -> str | None:
        """What of this image ``other`` has lost (a sentence), or None."""
        if other.copy_of_boot_sector() != self.copy_of_boot_sector():
            return "the copy of the boot sector differs"
        if other.check() != self.check():
            return "ntfsresize or ntfsfix says something else"
        try:
            return None if other.files == self.files else "files differ"
        except (AssertionError, OSError) as lost:
            return f"files cannot be read: {lost!r}"


@pytest.fixture(scope="session")
def ntfs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], NtfsImage]:
    """The image of a kind. Not to be written to."""
    folder = tmp_path_factory.mktemp("ntfs")
    by_name = {kind.name: kind for kind in KINDS}
    known: dict[str, NtfsImage] = {}

    def of_kind(name: str) -> NtfsImage:
        if name not in known:
            kind, path = by_name[name], folder / f"{name}.img"
            with path.open("wb") as image:
                image.truncate(kind.size)
            run("mkntfs", "-F", "-q", *kind.options.split(), path, *kind.sectors.split())
            if kind.fill:
                with mounted(path) as top:
                    kind.fill(top)
            known[name] = NtfsImage(path)
        return known[name]

    return of_kind


@pytest.fixture
def ntfs_image() -> type[NtfsImage]:
    """The class, for images that a test makes itself."""
    return NtfsImage


@pytest.fixture
def new_ntfs(tmp_path: Path) -> Callable[[int, str], NtfsImage]:
    """Makes an empty image of its own for one test: its size, and options of mkntfs."""

    def new(size: int, options: str) -> NtfsImage:
        path = tmp_path / "own.img"
        with path.open("wb") as image:
            image.truncate(size)
        run("mkntfs", "-F", "-q", *options.split(), path)
        return NtfsImage(path)

    return new


@pytest.fixture(params=[kind.name for kind in KINDS if kind.fill is not asleep])
def every_kind(request: pytest.FixtureRequest, ntfs: Callable[[str], NtfsImage]) -> NtfsImage:
    """An image of each kind in turn."""
    return ntfs(request.param)


@pytest.fixture
def partclone(tmp_path: Path) -> Callable[[NtfsImage], Extents]:
    """What partclone.ntfs would copy of an image."""

    def told(image: NtfsImage) -> Extents:
        log = tmp_path / "domain"
        run("partclone.ntfs", "-q", "-D", "-s", image.path, "-o", log, "-L", tmp_path / "log")
        rows = re.findall(r"^(0x[0-9A-F]+)\s+(0x[0-9A-F]+)\s+\+", log.read_text(), re.MULTILINE)
        return Extents.of(*((int(start, 16), int(length, 16)) for start, length in rows))

    return told
