"""What the ``dd`` of a machine can do, and the commands that it is given.

POSIX has ``if of ibs obs bs count skip seek conv=notrunc``. ``skip`` may read what it skips (Solaris dd(1M));
``iseek``, where there is one, seeks. GNU's goes past the page cache with ``iflag=direct``, and with ``conv=fsync`` says
whether what was written is on stable storage; elsewhere the devices that we are given are raw, without a cache.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Final

import attrs

from holdstill.errors import VolumeDenied, VolumeMissing, VolumeUnusable
from holdstill.spi.runner import Ran, Runner
from holdstill_remote.connection import LIMIT

#: no block is larger, bytes
_LARGEST: Final = 1 << 20
_SECTOR: Final = 512


@attrs.frozen
class Piece:
    """One run of a ``dd``: ``count`` blocks of ``block`` bytes, from block ``first`` on."""

    block: int
    first: int
    count: int

    @property
    def length(self) -> int:
        """Bytes."""
        return self.block * self.count


def pieces(offset: int, length: int) -> Iterator[Piece]:
    """A range of whole sectors in blocks as large as can be: what comes before a multiple of the largest, then that
    many, then the rest.
    """
    end = offset + length
    inner = min(-(-offset // _LARGEST) * _LARGEST, end)
    outer = max(end // _LARGEST * _LARGEST, inner)
    for start, past in ((offset, inner), (inner, outer), (outer, end)):
        if past > start:
            common = start | (past - start)
            block = min(common & -common, _LARGEST)
            yield Piece(block, start // block, (past - start) // block)


@attrs.frozen
class Dd:
    """The one of a machine."""

    gnu: bool
    seeks: bool
    """Has it ``iseek``?"""

    #: what ``/bin/sh`` is told to find out; ``said`` understands what comes of it
    ASK = (
        "dd --version 2>/dev/null | sed 1q;"
        " dd if=/dev/null of=/dev/null iseek=0 count=0 2>/dev/null && echo iseek; true"
    )

    @classmethod
    def said(cls, text: str) -> Dd:
        """What the machine answered to ``ASK``."""
        return cls("coreutils" in text, text.endswith("iseek\n"))

    def reading(self, device: str, piece: Piece, *, direct: bool) -> str:
        """The command for ``/bin/sh`` that writes the piece to its standard output."""
        skip = "iseek" if self.seeks else "skip"
        past = " iflag=direct" if direct else ""
        return (
            f"dd if={shlex.quote(device)} bs={piece.block} {skip}={piece.first} count={piece.count}{past} 2>/dev/null"
        )

    def writing(self, device: str, offset: int, length: int) -> str:
        """The command that writes what it reads from its standard input. A pipe gives less than was asked for, so what
        comes in is gathered: the two block sizes differ on purpose, which is what makes ``dd`` do that (POSIX, dd).
        """
        block = (offset | _LARGEST) & -(offset | _LARGEST)
        return f"dd of={shlex.quote(device)} ibs={block // 2} obs={block} seek={offset // block} {self._kept}"

    def zeroing(self, device: str, piece: Piece) -> str:
        """The command that writes zeros."""
        where = f"bs={piece.block} seek={piece.first} count={piece.count}"
        return f"dd if=/dev/zero of={shlex.quote(device)} {where} {self._kept} 2>/dev/null"

    @property
    def _kept(self) -> str:
        return "conv=notrunc,fsync" if self.gnu else "conv=notrunc"

    def opened(self, runner: Runner, device: str, size: int, subject: str) -> int:
        """The least that can be read past the page cache, bytes; 0 where there is none, or no way past it. Raises
        ``VolumeMissing``, ``VolumeDenied``, ``VolumeUnusable``, also where its end is not where it should be.
        """
        skip = "iseek" if self.seeks else "skip"
        script = f'dd if="$1" bs={_SECTOR} {skip}={size // _SECTOR - 1} count=2 2>/dev/null | wc -c'
        if self.gnu:
            script += (
                '; test -b "$1" && for unit in 512 4096; do dd if="$1" of=/dev/null bs=$unit count=1 iflag=direct'
                " 2>/dev/null && echo $unit && break; done; true"
            )
        ran = runner.ask(["/bin/sh", "-c", script, "sh", device], limit=LIMIT)
        said = ran.out.split()
        if not ran.ok or not all(each.isdigit() for each in said) or not said:
            raise VolumeUnusable(f"its end cannot be read: {ran.said}", subject=subject)
        there, *units = map(int, said)
        if there == 0:
            raise _unreadable(runner, device, size, subject)
        if size % _SECTOR or there != _SECTOR:
            raise VolumeUnusable(
                f"it does not end after {size} bytes, as its system says", subject=subject, next_step="name it again"
            )
        return units[0] if units else 0


def _unreadable(runner: Runner, device: str, size: int, subject: str) -> VolumeMissing | VolumeDenied | VolumeUnusable:
    if not runner.ask(["test", "-r", device], limit=LIMIT).ok:
        if runner.ask(["test", "-b", device, "-o", "-c", device], limit=LIMIT).ok:
            return VolumeDenied("it may not be read", subject=subject, next_step="log in as a user who may: root")
        return VolumeMissing("there is no such volume", subject=subject)
    tried: Ran = runner.ask(["dd", f"if={device}", "of=/dev/null", "bs=512", "count=1"], limit=LIMIT)
    why = f"it ends before {size} bytes" if tried.ok else tried.said
    return VolumeUnusable(f"it cannot be read to its end: {why}", subject=subject)
