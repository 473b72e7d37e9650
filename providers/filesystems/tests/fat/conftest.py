"""FAT volumes of every kind that mkfs.fat makes, filled and aged by mtools."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from holdstill_testing import sleuthkit, volumes
from holdstill_testing.torture import dice

MIB = 1 << 20


@attrs.frozen
class FatKind:
    """How to make one kind of image.

    ``files``: how many are put in before some are taken out; none at all, or until nothing more fits with ``full``.
    ``blocks``: not all of the volume, in KiB. ``bad``: KiB blocks that are marked as bad.
    """

    name: str
    options: str
    size: int
    files: int = 40
    full: bool = False
    blocks: str = ""
    bad: str = ""


KINDS = [
    FatKind("fat12", "-F 12", 4 * MIB),
    FatKind("fat12-floppy", "", 1440 << 10, 10),
    FatKind("fat12-one-copy", "-F 12 -f 1 -s 4", 6 * MIB),
    FatKind("fat12-4k-sectors", "-F 12 -S 4096 -s 1", 12 * MIB),
    FatKind("fat12-full", "-F 12", 3 * MIB, 60, full=True),
    FatKind("fat12-empty", "-F 12 -s 1", MIB, 0),
    FatKind("fat16", "-F 16", 24 * MIB),
    FatKind("fat16-odd-size", "-F 16 -s 4", 23 * MIB + 7 * 512),
    FatKind("fat16-large-clusters", "-F 16 -s 128", 280 * MIB),
    FatKind("fat16-bad-clusters", "-F 16", 24 * MIB, bad="5000\n5001\n17000\n"),
    FatKind("fat16-shorter-than-its-volume", "-F 16", 24 * MIB, 40, blocks="17000"),
    FatKind("fat32", "-F 32", 64 * MIB),
    FatKind("fat32-small", "-F 32 -s 1", 40 * MIB),
    FatKind("fat32-one-copy-2k-sectors", "-F 32 -f 1 -S 2048 -s 1", 160 * MIB),
    FatKind("fat32-full", "-F 32 -s 1", 34 * MIB, 40, full=True),
]
#: mtools takes it for FAT16, by the number of clusters; The Sleuth Kit refuses it; Linux and Windows read it as FAT32
FEW_CLUSTERS = FatKind("fat32-of-few-clusters", "-F 32 -s 8", 34 * MIB, 0)


def mtool(program: str, image: Path, *words: str | Path, ok: bool = True) -> bool:
    done = subprocess.run(
        [program, "-i", image, *words],
        env={**os.environ, "MTOOLS_SKIP_CHECK": "1"},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0 or not ok, f"{program} {words}: {done.stderr}"
    return done.returncode == 0


@attrs.frozen
class FatImage:
    """An image, and what dosfstools and mtools say of it."""

    path: Path

    @property
    def size(self) -> int:
        return self.path.stat().st_size

    def fsck(self) -> str | None:
        """What ``fsck.fat -n`` objects to."""
        done = subprocess.run(["fsck.fat", "-n", self.path], capture_output=True, text=True)
        return None if done.returncode == 0 else done.stdout + done.stderr

    def files(self) -> dict[str, str]:
        """The digest of every file, read by mtools."""
        with tempfile.TemporaryDirectory(dir=self.path.parent) as folder:
            mtool("mcopy", self.path, "-s", "-n", "::/*", folder, ok=False)  # it fails where there is nothing
            return sleuthkit.digests(Path(folder))

    def boot(self) -> bytes:
        """What is before the tables; boot loaders lie there."""
        with self.path.open("rb") as image:
            sector = image.read(512)
            image.seek(0)
            return image.read(int.from_bytes(sector[11:13], "little") * int.from_bytes(sector[14:16], "little"))

    def missing_from(self, other: FatImage) -> str | None:
        """What of this sound image ``other`` has lost (a sentence), or None."""
        if other.boot() != self.boot():
            return "the boot area differs"
        return other.fsck() or (None if other.files() == self.files() else "files differ")


def make_fat(kind: FatKind, path: Path) -> FatImage:
    """An image of the kind, filled, with holes where files were deleted."""
    volumes.sparse(path, kind.size)
    options = kind.options.split()
    if kind.bad:
        listed = path.with_suffix(".bad")
        listed.write_text(kind.bad)
        options += ["-l", str(listed)]
    volumes.run("mkfs.fat", *options, path, *kind.blocks.split())
    chance = dice(f"fat/{kind.name}")
    tree = path.with_suffix(".tree")
    names = [tree / f"folder {index % 5}" / f"A long name {index}.txt" for index in range(kind.files)]
    for index, name in enumerate(names):
        name.parent.mkdir(parents=True, exist_ok=True)
        name.write_bytes(chance.randbytes(chance.choice((0, 30, 500, 3000, 20_000, 90_000)) * (index % 11 != 10)))
        if kind.full:
            name.write_bytes(chance.randbytes(kind.size // 20))
    if names:
        mtool("mcopy", path, "-s", *sorted(tree.iterdir()), "::/", ok=not kind.full)
    if not kind.full:
        for index in range(0, kind.files, 3):
            mtool("mdel", path, f"::/{names[index].relative_to(tree)}")
        for index in range(1, kind.files, 7):
            mtool("mcopy", path, names[index], f"::/again {index}")
    volumes.run("rm", "-rf", tree)
    return FatImage(path)


@pytest.fixture(scope="session")
def made_fat(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], FatImage]:
    """The image of the kind of this name, made once. Not to be written to."""
    folder = tmp_path_factory.mktemp("fat")
    by_name = {kind.name: kind for kind in (*KINDS, FEW_CLUSTERS)}
    known: dict[str, FatImage] = {}

    def make(name: str) -> FatImage:
        if name not in known:
            known[name] = make_fat(by_name[name], folder / f"{name}.img")
        return known[name]

    return make


@pytest.fixture(params=[kind.name for kind in KINDS])
def every_fat(request: pytest.FixtureRequest, made_fat: Callable[[str], FatImage]) -> FatImage:
    """An image of each kind in turn."""
    return made_fat(request.param)


@pytest.fixture
def fat_image() -> type[FatImage]:
    """The class, for images that a test makes itself."""
    return FatImage


@pytest.fixture
def hurt_fat(made_fat: Callable[[str], FatImage], tmp_path: Path) -> Callable[..., Path]:
    """A copy of the image of a kind, with bytes written over it: ``hurt_fat(kind, (offset, bytes), ...)``."""

    def write(kind: str, *patches: tuple[int, bytes]) -> Path:
        path = tmp_path / "hurt.img"
        volumes.run("cp", "--sparse=always", made_fat(kind).path, path)
        with path.open("r+b") as image:
            for offset, data in patches:
                image.seek(offset)
                image.write(data)
        return path

    return write
