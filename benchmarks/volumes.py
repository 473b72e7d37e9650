"""Volumes to measure on, made by a script: mixed files, a quarter of them noise, stale data in the free space."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

_WORDS = [bytes(random.Random(n).choices(b"etaoinshrdlucmfwypvbgkjqxz", k=2 + n % 9)) for n in range(4000)]
_POOL = 48 << 20


@cache
def _prose() -> bytes:
    """Enough words that no two chunks are alike."""
    picked = random.Random(0).choices(_WORDS, k=_POOL // 6)
    return b" ".join(picked)


def text(dice: random.Random, size: int) -> bytes:
    """Bytes that compress as logs and sources do: prose from a random place on, numbered so that no chunk repeats."""
    start = dice.randrange(len(_prose()) - size) if size < len(_prose()) else 0
    return b"%08x " % dice.getrandbits(32) + _prose()[start : start + size - 9]


def noise(dice: random.Random, size: int) -> bytes:
    """Incompressible bytes."""
    return dice.randbytes(size)


def write_file(path: Path, dice: random.Random, size: int) -> None:
    """One file: one in four is noise, the others are text."""
    make = noise if dice.random() < 0.25 else text
    with path.open("wb") as file:
        while size > 0:
            piece = min(size, 4 << 20)
            file.write(make(dice, piece))
            size -= piece


def sizes(dice: random.Random, total: int) -> Iterator[int]:
    """Many small files, a few large ones, ``total`` bytes together."""
    while total > 0:
        size = min(
            total, int(dice.lognormvariate(11, 2)) + 100 if dice.random() < 0.98 else dice.randrange(1 << 20, 64 << 20)
        )
        yield size
        total -= size


@contextmanager
def mounted(image: Path) -> Iterator[Path]:
    """The file system in ``image``, mounted through a loop device."""
    place = image.with_suffix(".mnt")
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)
        place.rmdir()


def make(image: Path, size: int, filesystem: str = "ext4", fill: float = 0.6, seed: int = 1) -> None:
    """An aged volume of ``size`` bytes: filled, a part deleted (its data stays, stale), filled again."""
    dice = random.Random(seed)
    image.unlink(missing_ok=True)
    with image.open("wb") as file:
        file.truncate(size)
    subprocess.run([f"mkfs.{filesystem}", "-q", str(image)], check=True)
    with mounted(image) as root:
        for wave, share in enumerate((fill * 0.8, fill * 0.5)):
            for number, length in enumerate(sizes(dice, int(size * share))):
                folder = root / f"wave{wave}" / f"{number % 97:02d}"
                folder.mkdir(parents=True, exist_ok=True)
                write_file(folder / f"file{number}", dice, length)
            if wave == 0:
                for path in sorted(root.rglob("file*")):
                    if dice.random() < 0.375:
                        path.unlink()
        os.sync()


def change_files(image: Path, seed: int = 2, share: float = 0.02) -> None:
    """A day's work: about ``share`` of the used bytes in files rewritten, appended to, deleted and added."""
    dice = random.Random(seed)
    with mounted(image) as root:
        files = sorted(path for path in root.rglob("file*") if path.stat().st_size < 8 << 20)
        budget = int(share * sum(path.stat().st_size for path in root.rglob("file*")))
        while budget > 0:
            path = dice.choice(files)
            if not path.exists():
                continue
            length = path.stat().st_size
            kind = dice.random()
            if kind < 0.4:
                write_file(path, dice, length)
            elif kind < 0.7:
                with path.open("ab") as file:
                    file.write(text(dice, min(length, 64 << 10)))
            elif kind < 0.85:
                path.unlink()
            else:
                shutil.copyfile(path, path.with_name(f"{path.name}.new{budget}"))
            budget -= length
        os.sync()


def change_blocks(image: Path, count: int, used: list[tuple[int, int]], seed: int = 3) -> None:
    """The worst case: ``count`` random 4 KiB writes inside the ``(offset, length)`` runs of ``used``."""
    dice = random.Random(seed)
    with image.open("r+b") as file:
        for _ in range(count):
            offset, length = dice.choice(used)
            file.seek(offset + dice.randrange(0, max(1, length // 4096)) * 4096)
            file.write(dice.randbytes(min(4096, length)))
