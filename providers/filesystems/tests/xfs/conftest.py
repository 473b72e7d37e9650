"""XFS images in many kinds: made by mkfs.xfs, filled and aged by the kernel; and what others say of them."""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import attrs
import numpy as np
import pytest

from holdstill.model.extents import Extents
from holdstill_filesystems import plugin
from holdstill_testing import volumes
from holdstill_testing.destruction import answer, destroy
from holdstill_testing.fakes.file_reader import FileReader
from holdstill_testing.torture import dice, full

MIB = 1 << 20
#: mkfs.xfs makes small file systems for its own tests only; these three say that this is one
SMALL = {**os.environ, "TEST_DIR": "small", "TEST_DEV": "small", "QA_CHECK_FS": "small"}
#: fallocate(2): keep the size, punch a hole
PUNCH = 3
#: the files that mkfs.xfs copies into images that are never mounted
COPIED = [f"file{number}" for number in range(25)]


def run(*command: str | Path, ok: tuple[int, ...] = (0,)) -> str:
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, errors="replace", env=SMALL, check=False
    )
    assert done.returncode in ok, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@attrs.frozen
class Kind:
    """How to make one kind of image: what mkfs.xfs is told, how it is mounted, and what happens to it (in order).

    Without ``life`` it is never mounted: not every kernel has version 4, or blocks larger than a page. mkfs.xfs fills
    those. ``slow`` kinds are made in torture runs only.
    """

    name: str
    options: str = ""
    life: str = "fill age"
    size: int = 64 * MIB
    mount: str = "nouuid"
    slow: bool = False


V4 = "-m crc=0"
KINDS = [
    Kind("default"),
    Kind("empty", life="", slow=True),
    Kind("frozen", life="fill age freeze"),
    Kind("frozen-stripe", "-d su=64k,sw=2 -l su=64k", life="fill age freeze", size=80 * MIB),
    Kind("full", life="fill stuff"),
    Kind("one-group-left", life="stuff freeze", size=80 * MIB, slow=True),
    Kind("shattered", life="fill shatter"),
    Kind("shattered-1k", "-b size=1024", life="shatter age", slow=True),
    Kind("1k", "-b size=1024"),
    Kind("2k", "-b size=2048", slow=True),
    Kind("8k", "-b size=8192", life=""),
    Kind("16k", "-b size=16384", life="", slow=True),
    Kind("64k", "-b size=65536", life="", size=320 * MIB, slow=True),
    Kind("sectors-4k", "-s size=4096"),
    Kind("sectors-32k", "-s size=32768 -b size=32768", life="", size=192 * MIB, slow=True),
    Kind("reverse-mappings", "-m rmapbt=1", life="fill age clone shatter"),
    Kind("no-new-features", "-m reflink=0,finobt=0,inobtcount=0,bigtime=0 -i sparse=0"),
    Kind("clones", life="fill clone age freeze", slow=True),
    Kind("nrext64", "-i nrext64=1", slow=True),
    Kind("large-inodes", "-i size=2048", slow=True),
    Kind("stripe", "-d su=64k,sw=2 -l su=64k", slow=True),
    Kind("log-in-group-0", "-l agnum=0,size=6m", slow=True),
    Kind("three-groups-odd-size", "-d agcount=3", size=70 * MIB + 7 * 512),
    Kind("changed-uuid", life="fill uuid fill2"),
    Kind("changed-uuid-frozen", life="fill uuid age freeze", slow=True),
    Kind("grown", "-d size=40m", life="fill grow age", size=72 * MIB, slow=True),
    Kind("grown-frozen", "-d size=40m", life="fill grow freeze", size=72 * MIB),
    Kind("half-of-the-volume", "-d size=40m", size=72 * MIB, slow=True),
    Kind("deleted-while-open", life="fill unlinked"),
    Kind("repaired", life="fill age cut repair fill2", slow=True),
    Kind("log-worn", "-l size=6m", life="fill worn age freeze", slow=True),
    Kind("v4", V4, life=""),
    Kind("v4-counters-not-lazy", f"{V4} -l lazy-count=0", life=""),
    Kind("v4-log-1", f"{V4} -l version=1", life="", slow=True),
    Kind("v4-512", f"{V4} -b size=512 -d agcount=2", life="", slow=True),
    Kind("v4-64k", f"{V4} -b size=65536", life="", size=320 * MIB, slow=True),
    Kind("v4-attr1-no-ftype-ci", f"{V4} -i attr=1 -n ftype=0,version=ci", life="", slow=True),
]
BY_NAME = {kind.name: kind for kind in KINDS}


# --- a life -------------------------------------------------------------------------------------------


class Life:
    """What happens to a file system. Each method is one thing that a ``Kind`` may ask for."""

    def __init__(self, path: Path, kind: Kind) -> None:
        self.path = path
        self.kind = kind
        self.chance = dice(f"xfs/{kind.name}")

    def live(self) -> None:
        """Mounted once for every step: so the log holds several mounts."""
        for step in self.kind.life.split():
            if step in {"uuid", "cut", "repair"}:
                getattr(self, step)()
                continue
            with volumes.mounted(self.path, "-o", self.kind.mount) as point:
                getattr(self, step)(point)

    def fill(self, point: Path) -> None:
        volumes.ageing(point, self.chance, files=60)

    def fill2(self, point: Path) -> None:
        (point / "again").mkdir()
        volumes.ageing(point / "again", self.chance, files=30)

    def age(self, point: Path) -> None:
        """Holes punched, files allocated in advance, a thousand small ones of which most go."""
        volumes.ageing(point, self.chance, files=60)
        small = point / "small"
        small.mkdir()
        for number in range(600):
            (small / f"{number}").write_bytes(self.chance.randbytes(self.chance.randrange(6000)))
        os.sync()
        for number in range(600):
            if number % 4:
                (small / f"{number}").unlink()

    def clone(self, point: Path) -> None:
        for index, path in enumerate(sorted(path for path in point.rglob("f*") if path.is_file())):
            run("cp", "--reflink=always", path, point / f"clone{index}")
            if index % 3 == 0:
                with path.open("r+b") as file:
                    file.write(b"differs")

    def stuff(self, point: Path) -> None:
        """Not a block is left; then a few are."""
        for number in range(100_000):
            try:
                (point / f"stuff{number}").write_bytes(self.chance.randbytes(300_000))
            except OSError:
                break
        (point / "stuff3").unlink()

    def shatter(self, point: Path) -> None:
        """Every second block of a large file is free."""
        status = os.statvfs(point)
        with (point / "shattered").open("wb") as file:
            blocks = min(status.f_bavail * 3 // 4, 8000)
            os.posix_fallocate(file.fileno(), 0, blocks * status.f_bsize)
            libc = ctypes.CDLL(None, use_errno=True)
            libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
            for block in range(0, blocks, 2):
                assert libc.fallocate(file.fileno(), PUNCH, block * status.f_bsize, status.f_bsize) == 0

    def worn(self, point: Path) -> None:
        """The log goes round more than once."""
        for number in range(60):
            folder = point / f"worn{number}"
            folder.mkdir()
            for name in range(60):
                (folder / f"{name}").write_bytes(b"worn")
            os.sync()
            for name in range(60):
                (folder / f"{name}").unlink()

    def unlinked(self, point: Path) -> None:
        """A file without a name, as long as it is open: recovery will free it."""
        path = point / "unlinked"
        with path.open("wb") as file:
            file.write(self.chance.randbytes(2 * MIB))
            os.fsync(file.fileno())
            path.unlink()
            self.freeze(point)

    def freeze(self, point: Path) -> None:
        """A copy of it while it is frozen, as a snapshot would be, takes its place."""
        run("fsfreeze", "-f", point)
        try:
            run("cp", "--sparse=always", self.path, self.path.with_suffix(".frozen"))
        finally:
            run("fsfreeze", "-u", point)

    def cut(self) -> None:
        with volumes.mounted(self.path, "-o", self.kind.mount) as point:
            (point / "cut").write_bytes(b"cut" * 10_000)
            run("xfs_io", "-x", "-c", "shutdown", point)
            run("umount", point)

    def repair(self) -> None:
        """The log, which it will not replay, is thrown away."""
        run("xfs_repair", "-L", self.path)

    def grow(self, point: Path) -> None:
        run("xfs_growfs", "-d", point)

    def uuid(self) -> None:
        run("xfs_admin", "-U", "01234567-89ab-cdef-0123-456789abcdef", self.path)


# --- an image -----------------------------------------------------------------------------------------


class XfsImage:
    """An image, and what xfsprogs and the kernel say of it."""

    def __init__(self, path: Path, kind: Kind) -> None:
        self.path = path
        self.kind = kind

    @property
    def size(self) -> int:
        return self.path.stat().st_size

    @property
    def frozen(self) -> bool:
        return self.kind.life.endswith(("freeze", "unlinked"))

    def db(self, *commands: str) -> str:
        """What xfs_db answers, reading only."""
        return run("xfs_db", "-r", *(word for command in commands for word in ("-c", command)), self.path)

    def fields(self, place: str, *names: str) -> dict[str, int]:
        """Fields of a structure, as xfs_db prints them."""
        told = self.db(place, *(f"p {name}" for name in names))
        return {name: int(value, 0) for name, value in re.findall(r"^(\w+) = (\w+)", told, re.MULTILINE)}

    def geometry(self) -> tuple[int, int, int, int]:
        """Block size, blocks, blocks in a group, groups."""
        found = self.fields("sb 0", "blocksize", "dblocks", "agblocks", "agcount")
        return found["blocksize"], found["dblocks"], found["agblocks"], found["agcount"]

    def truth(self) -> Extents:
        """All but what xfs_db lists as free, in bytes, up to the end; blocks kept for the trees count as used."""
        block, blocks, in_group, groups = self.geometry()
        rows = np.array(
            [
                [int(number) for number in line.split()]
                for line in self.db("freesp -d").splitlines()
                if re.fullmatch(r"\s*\d+\s+\d+\s+\d+\s*", line)
            ],
            dtype=np.int64,
        ).reshape(-1, 3)
        free = Extents.from_arrays((rows[:, 0] * in_group + rows[:, 1]) * block, rows[:, 2] * block)
        return free.complement(blocks * block).union(self.kept(block, in_group, groups))

    def kept(self, block: int, in_group: int, groups: int) -> Extents:
        """The blocks that are kept for the trees."""
        places = []
        for group in range(groups):
            ring = self.fields(f"agf {group}", "flfirst", "flcount")
            listed = re.findall(r"(\d+):(\d+|null)", self.db(f"agfl {group}", "p bno"))
            for index in range(ring["flcount"]):
                places.append(group * in_group + int(listed[(ring["flfirst"] + index) % len(listed)][1]))
        return Extents.of(*((place * block, block) for place in places))

    def map(self) -> Extents:
        """What the plugin says is used."""
        with FileReader(self.path) as reader:
            found = answer(reader, plugin)
        assert isinstance(found, Extents), found
        return found

    def copy(self, to: Path) -> XfsImage:
        run("cp", "--sparse=always", self.path, to)
        return XfsImage(to, self.kind)

    def destroyed(self, to: Path, used: Extents) -> XfsImage:
        """A copy in which every byte outside ``used`` is noise."""
        return XfsImage(destroy(self.path, to, used), self.kind)

    def recovered(self) -> str | None:
        """What the kernel makes of the log, and what xfs_repair then objects to (a sentence), or None."""
        if self.frozen:
            try:
                with volumes.mounted(self.path, "-o", self.kind.mount):
                    pass
            except AssertionError as failed:
                return f"it cannot be mounted: {failed}"
        done = subprocess.run(("xfs_repair", "-n", "-f", self.path), capture_output=True, text=True, errors="replace")
        return None if done.returncode == 0 else f"xfs_repair objects: {done.stdout}{done.stderr}"

    def files(self) -> dict[str, tuple[str, ...]] | str:
        """Name and digest of every file; a sentence if they cannot be read. After ``recovered``."""
        if not self.kind.life:
            return self._files_by_db()
        try:
            with volumes.mounted(self.path, "-o", "ro,nouuid,norecovery") as point:
                return volumes.hashes(point)
        except (AssertionError, OSError) as failed:
            return f"files cannot be read: {failed}"

    def _files_by_db(self) -> dict[str, tuple[str, ...]]:
        """What mkfs.xfs has copied in, by the runs that xfs_db tells."""
        block, _, in_group, _ = self.geometry()
        found: dict[str, tuple[str, ...]] = {}
        with self.path.open("rb") as image:
            for name in COPIED:
                told = self.db(f"path /files/{name}", "p core.size", "bmap")
                size = int(re.search(r"core.size = (\d+)", told).group(1))
                content = bytearray(-(-size // block) * block)
                for offset, group, place, count in re.findall(
                    r"offset (\d+) startblock \d+ \((\d+)/(\d+)\) count (\d+)", told
                ):
                    image.seek((int(group) * in_group + int(place)) * block)
                    content[int(offset) * block : (int(offset) + int(count)) * block] = image.read(int(count) * block)
                found[name] = (hashlib.sha256(content[:size]).hexdigest(),)
        return found

    def missing_from(self, other: XfsImage) -> str | None:
        """What of this sound image ``other`` has lost (a sentence), or None. Writes to ``other``, if frozen."""
        if complaint := other.recovered():
            return complaint
        files = other.files()
        if isinstance(files, str):
            return files
        own = self.copy(other.path.with_suffix(".own"))
        assert own.recovered() is None, "the image should be sound to begin with"
        try:
            return None if files == own.files() else "files differ"
        finally:
            own.path.unlink()


# --- making ---------------------------------------------------------------------------------------------


def make_xfs(kind: Kind, path: Path) -> XfsImage:
    """An image of the kind, at the end of its life."""
    options = kind.options.split()
    if not kind.life:
        options += ["-p", str(_prototype(path.with_suffix(".source")))]
    run("mkfs.xfs", "-q", "-f", *options, volumes.sparse(path, kind.size))
    Life(path, kind).live()
    if (frozen := path.with_suffix(".frozen")).exists():
        frozen.replace(path)
    return XfsImage(path, kind)


def _prototype(source: Path) -> Path:
    """A file that tells mkfs.xfs what to copy in, and the files it names."""
    source.mkdir()
    chance = dice("xfs/copied")
    lines = ["-", "0 0", "d--755 0 0", "files d--755 0 0"]
    for name in COPIED:
        (source / name).write_bytes(chance.randbytes(chance.choice((0, 30, 5000, 90_000, 400_000))))
        lines.append(f"{name} ---644 0 0 {source / name}")
    prototype = source / "prototype"
    prototype.write_text("\n".join([*lines, "$", "$", ""]))
    return prototype


@pytest.fixture(autouse=True)
def _root_only(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("root") and os.geteuid() != 0:
        pytest.skip("needs root")


@pytest.fixture(scope="session")
def made_xfs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], XfsImage]:
    """Makes an image of the kind of this name, once. Not to be written to."""
    folder = tmp_path_factory.mktemp("xfs")
    known: dict[str, XfsImage] = {}

    def make(name: str) -> XfsImage:
        if name not in known:
            known[name] = make_xfs(BY_NAME[name], folder / f"{name}.img")
        return known[name]

    return make


@pytest.fixture(params=[kind.name for kind in KINDS if full() or not kind.slow])
def every_xfs(request: pytest.FixtureRequest, made_xfs: Callable[[str], XfsImage]) -> XfsImage:
    """An image of each kind in turn; of the slow ones in torture runs only."""
    return made_xfs(request.param)


@pytest.fixture
def new_xfs(tmp_path: Path) -> Callable[..., Path]:
    """Makes an image without files for one test: options of mkfs.xfs, size."""
    return lambda options="", size=64 * MIB: make_xfs(Kind("own", options, "fill", size), tmp_path / "own.img").path


@pytest.fixture
def said() -> Callable[[Path], Extents | str]:
    """The map of an image, or why there is none."""

    def ask(path: Path) -> Extents | str:
        with FileReader(path) as reader:
            return answer(reader, plugin)

    return ask


@pytest.fixture
def xfs() -> Callable[..., str]:
    """Runs a program and hands back what it printed; its exit code must be 0, or one of ``ok``."""
    return run
