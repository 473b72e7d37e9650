"""Which processes have a device or file open, as far as /proc shows it to us."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Final

import attrs

from holdstill_platforms.linux import proc
from holdstill_platforms.linux.host import Ground, ground_at

#: so many open descriptors are looked at
LIMIT: Final = 1 << 18
#: who is in passing is gone after so many further looks, with so many seconds between them
LOOKS: Final = 3
PAUSE: Final = 0.1


@attrs.frozen
class Opener:
    """A process that has it open."""

    process: int
    name: str
    writes: bool

    def __str__(self) -> str:
        return f"{self.name} (process {self.process}{', for writing' if self.writes else ''})"


def staying(ground: Ground, path: str) -> list[Opener]:
    """The processes that have it open and keep it: `losetup` and others open devices in passing, to look at them."""
    found = openers(ground, path)
    for _ in range(LOOKS):
        if not found:
            break
        time.sleep(PAUSE)
        still = {opener.process: opener for opener in openers(ground, path)}
        found = [still[opener.process] for opener in found if opener.process in still]
    return found


def openers(ground: Ground, path: str) -> list[Opener]:
    """The processes, other than this one, that have ``ground`` open. ``path`` names it.

    Only links that could mean it are followed (a device node, a file of this name): following any link may hang on a
    file system that does not answer.
    """
    found: dict[int, Opener] = {}
    looked = 0
    for process in proc.names("/proc"):
        if not process.isdigit() or int(process) == os.getpid():
            continue
        for fd in proc.names(f"/proc/{process}/fd"):
            looked += 1
            if looked > LIMIT:
                return list(found.values())
            link = f"/proc/{process}/fd/{fd}"
            if _may_be(link, ground, path) and ground_at(link) == ground:
                writes = _writes(f"/proc/{process}/fdinfo/{fd}")
                before = found.get(int(process))
                found[int(process)] = Opener(
                    int(process), proc.line(f"/proc/{process}/comm") or "?", writes or bool(before and before.writes)
                )
    return list(found.values())


def _may_be(link: str, ground: Ground, path: str) -> bool:
    with contextlib.suppress(OSError):
        target = str(Path(link).readlink())
        if isinstance(ground, int):
            return target.startswith("/dev/")
        return Path(target.removesuffix(" (deleted)")).name == Path(path).name
    return False


def _writes(fdinfo: str) -> bool:
    for line in proc.text(fdinfo, 4096).splitlines():
        key, _, value = line.partition(":")
        if key == "flags":
            with contextlib.suppress(ValueError):
                return int(value.strip(), 8) & os.O_ACCMODE != os.O_RDONLY
    return False
