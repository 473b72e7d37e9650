"""What ``fssnap -i`` says (fssnap_ufs(8)): numbers and places, and one line for each thing that is asked of one."""

from __future__ import annotations

import re
from typing import Final

import attrs

from holdstill.errors import VolumeUnusable
from holdstill.spi.runner import Runner
from holdstill.spi.still import Fill

_LIMIT: Final = 60.0
_LIST: Final = ("fssnap", "-i")
_SIZE: Final = re.compile(r"(\d+) KB")


@attrs.frozen
class Snapshots:
    """All of one host."""

    runner: Runner

    def places(self) -> set[str]:
        """The mount points of which there are snapshots. Raises ``VolumeUnusable`` where nobody can tell."""
        text = self._text(*_LIST)
        rows = [line.split(None, 1) for line in text.splitlines() if line.strip()]
        if any(len(words) != 2 or not words[0].isdecimal() or not words[1].startswith("/") for words in rows):
            raise VolumeUnusable(f"what `fssnap -i` prints is not understood: {text[:1500]!r}")
        return {words[1].strip() for words in rows}

    def device(self, place: str, backing: str) -> str | None:
        """The block device of the snapshot of this place that has this backing file; None: there is none. Raises
        ``VolumeUnusable`` where nobody can tell.
        """
        if place not in self.places():
            return None
        text = self._text(*_LIST, "-o", "blockdevname,backing-store", place)
        lines = [line.strip() for line in text.splitlines()]
        if len(lines) != 2 or not lines[0].startswith("/dev/"):
            raise VolumeUnusable(f"what `fssnap -i -o` prints of {place} is not understood: {text[:1500]!r}")
        return lines[0] if lines[1] == backing else None

    def fill(self, place: str) -> Fill | None:
        """How full it is, if it says so in KB."""
        ran = self.runner.ask((*_LIST, "-o", "backing-store-len,maxsize", place), limit=_LIMIT)
        sizes = [int(size) << 10 for size in _SIZE.findall(ran.out)]
        return Fill(*sizes) if ran.ok and len(sizes) == 2 else None

    def _text(self, *argv: str) -> str:
        ran = self.runner.ask(argv, limit=_LIMIT)
        if not ran.ok:
            raise VolumeUnusable(f"`{' '.join(argv)}` failed: {ran.said}")
        return ran.out
