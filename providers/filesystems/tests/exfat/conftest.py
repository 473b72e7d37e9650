"""exFAT volumes made by mkfs.exfat, filled and aged through the driver of exfat-fuse."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from holdstill_testing import sleuthkit, volumes
from holdstill_testing.torture import dice

MIB = 1 << 20


@attrs.frozen
class ExfatKind:
    """How to make one kind of image. ``full``: files until nothing more fits."""

    name: str
    options: str
    size: int
    files: int = 40
    full: bool = False


KINDS = [
    ExfatKind("default", "", 64 * MIB),
    ExfatKind("small-clusters", "-c 512", 16 * MIB),
    ExfatKind("packed-bitmap", "--pack-bitmap", 32 * MIB),
    ExfatKind("large-clusters-no-alignment", "-c 32768 -b 4096", 65 * MIB + 3 * 512),
    ExfatKind("full", "-c 4096", 12 * MIB, 60, full=True),
    ExfatKind("empty", "", 8 * MIB, 0),
    ExfatKind("small-bitmap-clusters", "-c 512", 8 * MIB, 0),
]


@attrs.frozen
class ExfatImage:
    """An image, and what others say of it."""

    path: Path

    @property
    def size(self) -> int:
        return self.path.stat().st_size

    def fsck(self) -> str | None:
        """What ``fsck.exfat -n`` objects to."""
        done = subprocess.run(["fsck.exfat", "-n", self.path], capture_output=True, text=True)
        return None if done.returncode == 0 and "clean" in done.stdout else done.stdout + done.stderr

    def boot(self) -> bytes:
        """Both boot regions; boot loaders lie there."""
        with self.path.open("rb") as image:
            return image.read(24 * 512)

    def missing_from(self, other: ExfatImage) -> str | None:
        """What of this sound image ``other`` has lost (a sentence), or None."""
        if other.boot() != self.boot():
            return "the boot area differs"
        if complaint := other.fsck():
            return complaint
        return None if sleuthkit.contents(other.path) == sleuthkit.contents(self.path) else "files differ"


def make_exfat(kind: ExfatKind, path: Path) -> ExfatImage:
    """An image of the kind, filled, with holes where files were deleted."""
    volumes.run("mkfs.exfat", *kind.options.split(), volumes.sparse(path, kind.size))
    if kind.files:
        if not os.access("/dev/fuse", os.W_OK):
            pytest.skip("needs root and /dev/fuse")
        point = path.with_suffix(".mount")
        point.mkdir()
        device = volumes.run("losetup", "--find", "--show", path)
        try:
            volumes.run("mount.exfat-fuse", device, point)
            try:
                _fill(kind, point)
            finally:
                volumes.run("umount", point)
            volumes.run("blockdev", "--flushbufs", device)
        finally:
            volumes.run("losetup", "--detach", device)
        point.rmdir()
    return ExfatImage(path)


def _fill(kind: ExfatKind, top: Path) -> None:
    chance = dice(f"exfat/{kind.name}")
    names = [top / f"folder {index % 5}" / f"A long name {index}.txt" for index in range(kind.files)]
    for index, name in enumerate(names):
        name.parent.mkdir(exist_ok=True)
        size = kind.size // 40 if kind.full else chance.choice((0, 30, 500, 3000, 20_000, 90_000))
        try:
            name.write_bytes(chance.randbytes(size))
        except OSError:
            assert kind.full
            return
        if index % 3 == 2 and not kind.full:
            names[index - 1].unlink()
            with names[index - 2].open("ab") as file:
                file.write(chance.randbytes(40_000))


@pytest.fixture(scope="session")
def made_exfat(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], ExfatImage]:
    """The image of the kind of this name, made once. Not to be written to."""
    folder = tmp_path_factory.mktemp("exfat")
    by_name = {kind.name: kind for kind in KINDS}
    known: dict[str, ExfatImage] = {}

    def make(name: str) -> ExfatImage:
        if name not in known:
            known[name] = make_exfat(by_name[name], folder / f"{name}.img")
        return known[name]

    return make


@pytest.fixture(params=[kind.name for kind in KINDS])
def every_exfat(request: pytest.FixtureRequest, made_exfat: Callable[[str], ExfatImage]) -> ExfatImage:
    """An image of each kind in turn."""
    return made_exfat(request.param)


@pytest.fixture
def exfat_image() -> type[ExfatImage]:
    """The class, for images that a test makes itself."""
    return ExfatImage


@pytest.fixture
def hurt_exfat(made_exfat: Callable[[str], ExfatImage], tmp_path: Path) -> Callable[..., Path]:
    """A copy of the image of a kind, with bytes written over it: ``hurt_exfat(kind, (offset, bytes), ...)``."""

    def write(kind: str, *patches: tuple[int, bytes]) -> Path:
        path = tmp_path / "hurt.img"
        volumes.run("cp", "--sparse=always", made_exfat(kind).path, path)
        with path.open("r+b") as image:
            for offset, data in patches:
                image.seek(offset)
                image.write(data)
        return path

    return write
