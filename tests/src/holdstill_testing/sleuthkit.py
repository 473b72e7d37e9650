"""What The Sleuth Kit says of an image: an oracle that shares no line with any reader of ours, nor with a driver."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Final

import numpy as np

from holdstill.model.extents import Extents

_ALLOCATED: Final = "a"


def allocated(image: Path, unit: int) -> Extents:
    """The units of ``unit`` bytes that ``blkls`` lists as allocated. The unit is what the tool itself counts in."""
    listed = subprocess.run(["blkls", "-e", "-l", image], check=True, capture_output=True, text=True).stdout
    rows = [line.split("|") for line in listed.splitlines()[3:]]
    numbers = np.array([int(number) for number, state in rows if state == _ALLOCATED], dtype=np.int64)
    return Extents.from_arrays(numbers * unit, np.full(numbers.size, unit, dtype=np.int64))


def contents(image: Path) -> dict[str, str]:
    """The digest of every file that is there, as ``tsk_recover`` hands it out."""
    with tempfile.TemporaryDirectory(dir=image.parent) as folder:
        subprocess.run(["tsk_recover", "-a", image, folder], check=True, capture_output=True)
        return digests(Path(folder))


def digests(folder: Path) -> dict[str, str]:
    """The digest of every file below ``folder``, by its path in it."""
    return {
        os.path.relpath(file, folder): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob("*")
        if file.is_file() and not file.is_symlink()
    }
