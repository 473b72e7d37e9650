"""XFS images, and what xfsprogs and the kernel say of them: oracles that share no code with the reader."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from pathlib import Path
from typing import Final

import attrs
import numpy as np

from holdstill.model.extents import Extents
from holdstill_testing import volumes
from holdstill_testing.destruction import Plugin, answer, destroy
from holdstill_testing.fakes.file_reader import FileReader

#: mkfs.xfs makes small file systems for its own tests only; these three say that this is one
SMALL: Final = {**os.environ, "TEST_DIR": "small", "TEST_DEV": "small", "QA_CHECK_FS": "small"}
#: the files that mkfs.xfs copies into images that are never mounted
COPIED: Final = [f"file{number}" for number in range(25)]


def run(*command: str | Path, ok: tuple[int, ...] = (0,)) -> str:
    """What the program printed; its exit code must be one of ``ok``."""
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
    size: int = 48 << 20
    mount: str = "nouuid"
    slow: bool = False


class XfsImage:
    """An image, and what xfsprogs and the kernel say of it."""

    def __init__(self, path: Path, kind: Kind) -> None:
        self.path = path
        self.kind = kind

    @property
    def size(self) -> int:
        """How long the volume is, in bytes."""
        return self.path.stat().st_size

    @property
    def frozen(self) -> bool:
        """Is it as a snapshot has it?"""
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

    def log(self) -> tuple[int, int]:
        """Where the log lies, in bytes: offset and length."""
        found = self.fields("sb 0", "logstart", "logblocks", "agblklog", "agblocks", "blocksize")
        group, place = divmod(found["logstart"], 1 << found["agblklog"])
        return (group * found["agblocks"] + place) * found["blocksize"], found["logblocks"] * found["blocksize"]

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

    def map(self, plugin: Plugin) -> Extents:
        """What the plugin says is used."""
        with FileReader(self.path) as reader:
            found = answer(reader, plugin)
        assert isinstance(found, Extents), found
        return found

    def copy(self, to: Path) -> XfsImage:
        """A copy that may be written to."""
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
        done = subprocess.run(
            ("xfs_repair", "-n", "-f", "-o", "force_geometry", self.path),
            capture_output=True,
            text=True,
            errors="replace",
        )
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
                size = int(told.partition("core.size = ")[2].partition("\n")[0])
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
