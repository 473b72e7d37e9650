"""What is read of Linux itself, against what its own programs say (util-linux)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from holdstill.spi.checks import HostCheck, Settled
from holdstill.spi.runner import Runner
from holdstill_platforms.checks.recalled import KEPT, said
from holdstill_platforms.linux import mountinfo
from holdstill_platforms.linux.identify import every_volume
from holdstill_platforms.unix.asking import LIMIT

_MOUNTS: Final = ("findmnt", "--kernel", "--noheadings", "--raw", "--output", "TARGET")
_SIZES: Final = ("lsblk", "--bytes", "--list", "--noheadings", "--paths", "--output", "NAME,SIZE")


def checks(runner: Runner) -> Iterator[HostCheck]:
    """The mount table, and the sizes of the devices."""
    ours = sorted({row.path for row in mountinfo.own()})
    ran = runner.ask(_MOUNTS, limit=LIMIT)
    theirs = sorted({_unescaped(line) for line in ran.out.splitlines()})
    yield _compared("the mount table", _MOUNTS, ours, theirs, said(ran), ran.code)
    sizes = {facts.device: facts.size for facts in every_volume()}
    ran = runner.ask(_SIZES, limit=LIMIT)
    rows = dict(line.rsplit(None, 1) for line in ran.out.splitlines() if len(line.split()) == 2)
    both = sizes.keys() & rows.keys()
    ours = sorted(f"{device} {sizes[device]}" for device in both)
    theirs = sorted(f"{device} {rows[device]}" for device in both)
    yield _compared("the sizes of the devices that both know", _SIZES, ours, theirs, said(ran), ran.code)


def _compared(what: str, argv: tuple[str, ...], ours: list[str], theirs: list[str], found: str, code: int) -> HostCheck:
    settled = Settled.AS_TAKEN if code == 0 and ours == theirs else Settled.OTHERWISE
    return HostCheck(what, " ".join(argv), "\n".join(ours)[:KEPT], settled, found, 0, code)


def _unescaped(name: str) -> str:
    r"""As ``findmnt --raw`` writes names: what is not printable as ``\x20``."""
    return name.encode().decode("unicode_escape").encode("latin-1").decode(errors="surrogateescape")
