"""Makes the aged JFS images beside this file, and tells the digests of what is in images. Not a test.

Needs root and a kernel that knows JFS (many do not: then in a virtual machine), jfsutils, and room in the folder.

    python3 aged.py make FOLDER      writes NAME.tar.xz and NAME.sums for each kind of image
    python3 aged.py sums IMAGE...    mounts each read-only; prints "<sha256> <inode> <path>" for each file and link

The sums are told by inode and by name: by inode for a reader that knows no directories, by name for a mount.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

MIB = 1 << 20


def run(*command: str | Path) -> None:
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)


@contextlib.contextmanager
def mounted(image: Path, options: str = "rw") -> Iterator[Path]:
    point = image.parent / f"{image.name}.mount"
    point.mkdir()
    run("mount", "-t", "jfs", "-o", f"loop,{options}", image, point)
    try:
        yield point
    finally:
        run("umount", point)
        point.rmdir()


def made(image: Path, size: int, *options: str) -> Path:
    with image.open("wb") as file:
        file.truncate(size)
    run("mkfs.jfs", "-q", *options, image)
    return image


def write(path: Path, blocks: int, tail: int = 0) -> None:
    """A file in which no two blocks are equal, and that packs well."""
    name = int.from_bytes(hashlib.sha256(path.name.encode()).digest()[:2], "big")
    data = b"".join(f"{name:04x}{block:04x}".encode() * 512 for block in range(blocks)) + b"t" * tail
    path.write_bytes(data)


def many(top: Path, chance: random.Random, number: int) -> None:
    """Files of many sizes in directories of many sizes, then holes where some were deleted, then some more."""
    for index in range(number):
        folder = top / f"dir{index % 3 if index % 4 else 3}"
        folder.mkdir(exist_ok=True)
        write(folder / f"file{index}", chance.choice((0, 0, 1, 1, 2, 5, 20)), chance.choice((0, 1, 300, 2000)))
    for index in range(0, number, 3):
        (top / f"dir{index % 3 if index % 4 else 3}" / f"file{index}").unlink()
    for index in range(number // 8):
        write(top / f"again-{index}-with-a-name-that-needs-several-slots-of-a-directory", 3)
    (top / "link").symlink_to("dir3/file4")
    (top / "long-link").symlink_to("x" * 800)
    os.setxattr(top / "link", "trusted.of-a-link", b"y" * 40, follow_symlinks=False)
    os.setxattr(top / "dir3", "user.large", b"z" * 9000)
    with (top / "sparse").open("wb") as file:
        for place in range(40):
            file.seek(place * 3 * MIB)
            file.write(f"{place:04d}".encode() * 1024)


def fragment(top: Path, number: int) -> None:
    """One block in use, one free, and one file that lies in all of the gaps that came first."""
    for index in range(number):
        write(top / f"small{index}", 1)
    for index in range(0, number, 2):
        (top / f"small{index}").unlink()
    write(top / "in-the-gaps", number // 4)


def filled(image: Path, chance: random.Random) -> None:
    with mounted(made(image, 24 * MIB, "-L", "filled")) as top:
        many(top, chance, 400)


def fragmented(image: Path, chance: random.Random) -> None:
    with mounted(made(image, 17 * MIB)) as top:
        fragment(top, 1200)


def full(image: Path, chance: random.Random) -> None:
    """To the last block, then half of it given back."""
    with mounted(made(image, 16 * MIB)) as top:
        with contextlib.suppress(OSError):
            for index in range(1000):
                write(top / f"file{index}", 31)
        for index in range(0, 1000, 2):
            (top / f"file{index}").unlink(missing_ok=True)


def resized(image: Path, chance: random.Random) -> None:
    """Grown twice while mounted: the block map and its own inode grow too, the log and the work area move."""
    with mounted(made(image, 16 * MIB)) as top:
        fragment(top, 300)
        for size in (96 * MIB, 310 * MIB):
            with image.open("r+b") as file:
                file.truncate(size)
            device = subprocess.check_output(["findmnt", "-n", "-o", "SOURCE", top], text=True).strip()
            run("losetup", "-c", device)
            run("mount", "-o", "remount,resize", top)
            write(top / f"after-{size}", 500, 7)


def frozen(image: Path, chance: random.Random) -> None:
    """Copied while frozen; a deleted file is still open, so that the two maps of each page differ."""
    live = made(image.with_suffix(".live"), 24 * MIB)
    with mounted(live) as top:
        many(top, chance, 90)
        with (top / "deleted").open("wb") as file:
            file.write(b"deleted " * 30_000)
            file.flush()
            os.fsync(file.fileno())
            (top / "deleted").unlink()
            run("fsfreeze", "-f", top)
            device = subprocess.check_output(["findmnt", "-n", "-o", "SOURCE", top], text=True).strip()
            run("blockdev", "--flushbufs", device)
            run("cp", "--sparse=always", live, image)
            run("fsfreeze", "-u", top)
    live.unlink()


def external_log(image: Path, chance: random.Random) -> None:
    log = made(image.with_suffix(".log"), 16 * MIB, "-J", "journal_dev")
    device = subprocess.check_output(["losetup", "-f", "--show", log], text=True).strip()
    try:
        with mounted(made(image, 20 * MIB, "-J", f"device={device}"), "rw,nointegrity") as top:
            many(top, chance, 60)
    finally:
        run("losetup", "-d", device)
        log.unlink()


def os2(image: Path, chance: random.Random) -> None:
    with mounted(made(image, 16 * MIB, "-O")) as top:
        many(top, chance, 60)


def wide(image: Path, chance: random.Random) -> None:
    """Past 32 GiB, where the second page of the map's lowest level begins; files in many allocation groups."""
    with mounted(made(image, 40 << 30, "-s", "1")) as top:
        for index in range(24):
            (top / f"dir{index}").mkdir()
            write(top / f"dir{index}" / "file", 20, index)


KINDS = (filled, fragmented, full, resized, frozen, external_log, os2, wide)


def sums(image: Path) -> Iterator[str]:
    with mounted(image, "ro") as top:
        for folder, _, files in sorted(os.walk(top)):
            for path in sorted(Path(folder) / name for name in files):
                data = os.readlink(path).encode() if path.is_symlink() else path.read_bytes()
                yield f"{hashlib.sha256(data).hexdigest()} {path.lstat().st_ino} {path.relative_to(top)}"


def make(folder: Path) -> None:
    for kind in KINDS:
        image = folder / f"{kind.__name__}.img"
        kind(image, random.Random(kind.__name__))
        image.with_suffix(".sums").write_text("".join(f"{line}\n" for line in sums(image)))
        packed = image.with_suffix(".tar.xz")
        run("tar", "-C", folder, "--owner=0", "--group=0", "-S", "-I", "xz -9e", "-cf", packed, image.name)
        image.unlink()


def main(words: list[str]) -> None:
    match words:
        case ["make", folder]:
            make(Path(folder))
        case ["sums", *images]:
            for image in images:
                print(image, *sums(Path(image)), sep="\n")
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
