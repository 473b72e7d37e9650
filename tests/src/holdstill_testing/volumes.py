"""Real volumes: file systems made, mounted and aged by the system's own tools, and hashed by nothing of ours.

Whatever is attached or mounted here is let go again when its block ends, whatever happened in it. Attaching and
mounting need root.
"""

from __future__ import annotations

import hashlib
import os
import random
import re
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

MIB: Final = 1 << 20
_PIECE: Final = 1 << 20


def run(*command: str | os.PathLike[str]) -> str:
    """What the command said. AssertionError, with what it complained of, if it failed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


def sparse(path: Path, size: int) -> Path:
    """A file of ``size`` bytes without data."""
    with path.open("wb") as file:
        file.truncate(size)
    return path


def noise(path: Path, size: int, dice: random.Random) -> Path:
    """A file of ``size`` bytes, all of them allocated and none of a pattern."""
    with path.open("wb") as file:
        for start in range(0, size, _PIECE):
            file.write(dice.randbytes(min(_PIECE, size - start)))
    return path


def ext4(path: Path, size: int, *options: str, content: Path | None = None) -> Path:
    """An ext4 in a new sparse file, with the files of the folder ``content`` in it (mke2fs -d: no mount needed)."""
    filled = ("-d", os.fspath(content)) if content else ()
    run("mke2fs", "-q", "-F", "-t", "ext4", *filled, *options, sparse(path, size))
    return path


def ageing(folder: Path, dice: random.Random, *, files: int, largest: int = 256 << 10) -> None:
    """Leave ``folder`` as use leaves it: files of all sizes, some sparse, linked, renamed, cut short, removed.

    May be done again to the same folder, with other dice.
    """
    for number in range(files):
        home = folder / f"d{dice.randrange(8)}"
        home.mkdir(exist_ok=True)
        name = home / f"f{number}{'é' * dice.randrange(3)}"
        name.write_bytes(_content(dice, largest))
    there = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    for number, path in enumerate(there):
        fate = dice.randrange(10)
        if fate == 0:
            path.unlink()
        elif fate == 1:
            os.truncate(path, path.stat().st_size // 2)
        elif fate == 2:
            path.rename(path.with_name(f"renamed{number}-{path.name}"))
        elif fate == 3:
            os.link(path, path.with_name(f"linked{number}-{path.name}"))
        elif fate == 4:
            path.with_name(f"to{number}-{path.name}").symlink_to(path.name)
        elif fate == 5:
            with path.open("r+b") as file:
                file.seek(dice.randrange(4 * largest))
                file.write(b"after a hole")


def _content(dice: random.Random, largest: int) -> bytes:
    size = int(largest ** dice.random())
    return dice.randbytes(size) if dice.randrange(2) else (b"%d," % dice.randrange(10**9)) * (size // 8)


# --- attached and mounted -----------------------------------------------------------------------


@contextmanager
def attached(path: Path | str, *options: str) -> Iterator[str]:
    """A loop device on the file (or device), as long as the block lasts."""
    device = run("losetup", "--find", "--show", *options, path)
    try:
        yield device
    finally:
        run("losetup", "--detach", device)
        _wait_until_free(Path(device))


def _wait_until_free(device: Path) -> None:
    """Detaching waits, in the background, for whoever looks at the device just now (udev, for one)."""
    backing = Path("/sys/block", device.name, "loop/backing_file")
    for _ in range(1000):
        if not backing.exists():
            return
        time.sleep(0.01)
    raise AssertionError(f"{device} is still attached")


@contextmanager
def mounted(source: Path | str, *options: str) -> Iterator[Path]:
    """Where the device, or the file through a loop device, is mounted as long as the block lasts."""
    with ExitStack() as undo:
        place = undo.enter_context(tempfile.TemporaryDirectory(prefix="holdstill-mount-"))
        device = source if Path(source).is_block_device() else undo.enter_context(attached(source))
        run("mount", *options, device, place)
        try:
            yield Path(place)
        finally:
            if os.path.ismount(place):
                run("umount", place)


# --- what is on them ----------------------------------------------------------------------------


def hashes(folder: Path) -> dict[str, tuple[str, ...]]:
    """For everything below ``folder``, by its name: kind and mode, owner, and its content, its goal or its number."""
    found: dict[str, tuple[str, ...]] = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content = ""
        if stat.S_ISREG(status.st_mode):
            content = digest(path)
        elif stat.S_ISLNK(status.st_mode):
            content = os.readlink(path)
        name = os.fspath(path.relative_to(folder))
        found[name] = (oct(status.st_mode), f"{status.st_uid}:{status.st_gid}", str(status.st_nlink), content)
    return found


def files_in(volume: Path | str) -> dict[str, tuple[str, ...]]:
    """``hashes`` of the file system in a device or image file, mounted read-only and without touching its journal."""
    with mounted(volume, "-o", "ro,noload") as place:
        return hashes(place)


def digest(path: Path | str) -> str:
    """SHA-256 of everything in a file or device."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of_used(path: Path | str, used: Iterable[tuple[int, int]], size: int) -> str:
    """SHA-256 of the first ``size`` bytes as an image must hold them: zeros wherever ``used`` says nothing.

    ``used``: ``(offset, length)`` ascending, bytes.
    """
    total, at = hashlib.sha256(), 0
    with Path(path).open("rb") as file:
        for offset, length in used:
            _zeros(total, offset - at)
            file.seek(offset)
            for piece in range(offset, offset + length, _PIECE):
                total.update(file.read(min(_PIECE, offset + length - piece)))
            at = offset + length
    _zeros(total, size - at)
    return total.hexdigest()


def _zeros(total: hashlib._Hash, count: int) -> None:
    for start in range(0, count, _PIECE):
        total.update(bytes(min(_PIECE, count - start)))


def free_in_ext(path: Path | str) -> list[tuple[int, int]]:
    """What dumpe2fs(8) calls free, as ``(offset, length)`` in bytes: an oracle that shares no code with ours."""
    said = run("dumpe2fs", path)
    block = int(re.search(r"^Block size: +(\d+)", said, re.MULTILINE)[1])  # type: ignore[index]  # it always says so
    runs = []
    for line in re.findall(r"^  Free blocks: (\S.*)$", said, re.MULTILINE):
        for first, _, last in (part.partition("-") for part in line.split(", ")):
            runs.append((int(first) * block, (int(last or first) - int(first) + 1) * block))
    return sorted(runs)


def is_clean(volume: Path | str) -> bool:
    """Does e2fsck(8) find nothing to say against it, writing nothing?"""
    return subprocess.run(("e2fsck", "-fn", os.fspath(volume)), capture_output=True, check=False).returncode == 0


def recognised(volume: Path | str) -> str:
    """What blkid(8) takes it for, looking at nothing but its bytes; empty if for nothing."""
    found = subprocess.run(
        ("blkid", "--probe", "--output", "value", "--match-tag", "TYPE", os.fspath(volume)),
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.strip()


def allocated(path: Path) -> int:
    """Bytes that a file really takes."""
    return path.stat().st_blocks * 512
