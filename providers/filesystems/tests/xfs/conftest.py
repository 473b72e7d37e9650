"""XFS images in many kinds: made by mkfs.xfs, filled and aged by the kernel; and what others say of them."""

from __future__ import annotations

import ctypes
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from holdstill.model.extents import Extents
from holdstill.spi.reader import Reader
from holdstill_filesystems import plugin
from holdstill_testing import volumes
from holdstill_testing.destruction import PatchedReader, answer
from holdstill_testing.fakes.file_reader import FileReader
from holdstill_testing.torture import dice, full
from holdstill_testing.xfs_forge import shatter
from holdstill_testing.xfs_images import COPIED, Kind, XfsImage, run

MIB = 1 << 20
#: fallocate(2): keep the size, punch a hole
PUNCH = 3
V4 = "-m crc=0"
KINDS = [
    Kind("default"),
    Kind("empty", life="", slow=True),
    Kind("small-log", "-l size=6m,su=32k", slow=True),
    Kind("suite", life="fill freeze", size=20 * MIB, slow=True),
    Kind("frozen", life="fill age freeze"),
    Kind("read-only", life="fill age readonly"),
    Kind("frozen-stripe", "-d su=64k,sw=2 -l su=64k", life="fill age freeze", size=80 * MIB, slow=True),
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
    Kind("changed-uuid", life="fill uuid fill2", slow=True),
    Kind("changed-uuid-frozen", life="fill uuid age freeze", slow=True),
    Kind("grown", "-d size=40m", life="fill grow age", size=72 * MIB, slow=True),
    Kind("grown-frozen", "-d size=40m", life="fill grow freeze", size=72 * MIB, slow=True),
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
#: free space in pieces that no kernel here would make, and that nobody uses: no subject for xfs_repair
FORGED = Kind("v4-shattered", f"{V4} -l agnum=0", life="forge")
BY_NAME = {kind.name: kind for kind in (*KINDS, FORGED)}


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
            if step in {"uuid", "cut", "repair", "forge"}:
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
        """A third of what was there goes, others come; of many small ones most go again."""
        for path in sorted(path for path in point.rglob("f*") if path.is_file())[::3]:
            path.unlink()
        aged = point / "aged"
        aged.mkdir()
        volumes.ageing(aged, self.chance, files=60)
        small = point / "small"
        small.mkdir()
        for number in range(600):
            (small / f"{number}").write_bytes(self.chance.randbytes(self.chance.randrange(6000)))
        run("sync", "-f", point)
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
            run("sync", "-f", point)
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

    def readonly(self, point: Path) -> None:
        """A copy of it while it is mounted read-only takes its place."""
        run("mount", "-o", "remount,ro", point)
        run("cp", "--sparse=always", self.path, self.path.with_suffix(".frozen"))

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

    def forge(self) -> None:
        shatter(self.path, 1, 900)

    def uuid(self) -> None:
        run("xfs_admin", "-U", "01234567-89ab-cdef-0123-456789abcdef", self.path)


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
def _able(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("root") and os.geteuid() != 0:
        pytest.skip("needs root")
    if shutil.which("mkfs.xfs") is None:
        pytest.skip("needs xfsprogs")


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


@pytest.fixture
def hurt_xfs(made_xfs: Callable[[str], XfsImage]) -> Iterator[Callable[..., PatchedReader]]:
    """The image of a kind, with other bytes in some places: ``hurt_xfs(kind, (offset, bytes), ...)``."""
    with ExitStack() as opened:

        def patched(kind: str, *patches: tuple[int, bytes]) -> PatchedReader:
            reader = opened.enter_context(PatchedReader(made_xfs(kind).path))
            for offset, data in patches:
                reader.patch(offset, data)
            return reader

        yield patched


@pytest.fixture(params=[kind.name for kind in KINDS if full() or not kind.slow])
def every_xfs(request: pytest.FixtureRequest, made_xfs: Callable[[str], XfsImage]) -> XfsImage:
    """An image of each kind in turn; of the slow ones in torture runs only."""
    return made_xfs(request.param)


@pytest.fixture
def said() -> Callable[[Path | Reader], Extents | str]:
    """The map of an image, or why there is none."""

    def ask(volume: Path | Reader) -> Extents | str:
        if isinstance(volume, Reader):
            return answer(volume, plugin)
        with FileReader(volume) as reader:
            return answer(reader, plugin)

    return ask


@pytest.fixture
def xfs() -> Callable[..., str]:
    """Runs a program and hands back what it printed; its exit code must be 0, or one of ``ok``."""
    return run
