"""Solaris and illumos: /etc/mnttab, `prtvtoc`, `swap -l`, `fssnap -i`. The raw device of /dev/dsk/c0t0d0s6 is
/dev/rdsk/c0t0d0s6.
"""

from __future__ import annotations

import re
from typing import Final

from holdstill.errors import VolumeUnusable
from holdstill.model.volume import Layer
from holdstill_platforms.unix.asking import Asking, not_understood
from holdstill_platforms.unix.system import Described, Mounted, System

_MNTTAB: Final = ("cat", "/etc/mnttab")
_SWAP: Final = ("swap", "-l")
_SNAPSHOTS: Final = ("fssnap", "-i")
#: devices that UFS stands on, and the raw ones beside them: disks, metadevices, Veritas volumes, snapshots of fssnap
_RAW: Final = (
    (re.compile(r"/dev/dsk/(.+)"), r"/dev/rdsk/\1"),
    (re.compile(r"/dev/md/dsk/(.+)"), r"/dev/md/rdsk/\1"),
    (re.compile(r"/dev/md/([^/]+)/dsk/(.+)"), r"/dev/md/\1/rdsk/\2"),
    (re.compile(r"/dev/vx/dsk/(.+)"), r"/dev/vx/rdsk/\1"),
    (re.compile(r"/dev/fssnap/(\d+)"), r"/dev/rfssnap/\1"),
)
_BLOCK: Final = (
    (re.compile(r"/dev/rdsk/(.+)"), r"/dev/dsk/\1"),
    (re.compile(r"/dev/md/rdsk/(.+)"), r"/dev/md/dsk/\1"),
    (re.compile(r"/dev/md/([^/]+)/rdsk/(.+)"), r"/dev/md/\1/dsk/\2"),
    (re.compile(r"/dev/vx/rdsk/(.+)"), r"/dev/vx/dsk/\1"),
    (re.compile(r"/dev/rfssnap/(\d+)"), r"/dev/fssnap/\1"),
)
_SLICE: Final = re.compile(r"/dev/dsk/\w*s(\d+)")


class Solaris(System):
    """See ``System``."""

    name = "Solaris"
    prefix = "sunos"

    def mounts(self, ask: Asking) -> list[Mounted]:
        """From /etc/mnttab, the kernel's own table (mnttab(5)): five fields between tabs."""
        text = ask.text(*_MNTTAB)
        rows = []
        for line in text.splitlines():
            fields = line.split("\t")
            if len(fields) != 5 or not fields[4].strip().isdecimal():
                not_understood(_MNTTAB, text, f"the row {line!r}")
            rows.append(Mounted(*fields[:4]))
        if not rows:
            not_understood(_MNTTAB, text, "nothing is mounted")
        return rows

    def describe(self, ask: Asking, device: str) -> Described:
        """A slice by the label of its disk (prtvtoc(8)); a snapshot is as large as what it is of."""
        if device.startswith("/dev/fssnap/"):
            return self._snapshot(ask, device)
        match = _SLICE.fullmatch(device)
        if match is None:
            raise VolumeUnusable(
                "how large it is cannot be asked for on this system", subject=device, next_step="name a slice of a disk"
            )
        argv = ("prtvtoc", self.raw(device))
        text = ask.text(*argv)
        sector = re.search(r"^\*\s+(\d+) bytes/sector\s*$", text, re.MULTILINE)
        rows = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("*")]
        counts = [words[4] for words in rows if len(words) in (6, 7) and words[0] == match[1]]
        if sector is None or len(counts) != 1 or not counts[0].isdecimal() or not int(counts[0]):
            not_understood(argv, text, f"it has no bytes/sector and no one row of slice {match[1]}")
        return Described(
            size=int(counts[0]) * int(sector[1]),
            identity=device,
            layers=(Layer("slice", device.removeprefix("/dev/dsk/")),),
            facts={"sector": sector[1]},
        )

    def _snapshot(self, ask: Asking, device: str) -> Described:
        """``fssnap -i`` lists numbers and mount points (fssnap_ufs(8))."""
        text = ask.text(*_SNAPSHOTS)
        rows = [line.split(None, 1) for line in text.splitlines() if line.strip()]
        number = device.rpartition("/")[2]
        places = [words[1].strip() for words in rows if len(words) == 2 and words[0] == number]
        if len(places) != 1:
            not_understood(_SNAPSHOTS, text, f"it has no one row of snapshot {number}")
        origins = [row.device for row in self.mounts(ask) if row.place == places[0]]
        if not origins:
            raise VolumeUnusable(f"{places[0]}, of which it is a snapshot, is not mounted", subject=device)
        origin = self.describe(ask, origins[-1])
        return Described(size=origin.size, identity=device, layers=(Layer("fssnap", number, places[0]),))

    def block(self, path: str) -> str | None:
        """Of either device."""
        return _turned(path, _BLOCK) or (path if path.startswith("/dev/") else None)

    def raw(self, device: str) -> str:
        """Beside it, in the directory of the raw ones."""
        found = _turned(device, _RAW)
        if found is None:
            raise VolumeUnusable(
                "where its raw device is cannot be told", subject=device, next_step="name a slice below /dev/dsk"
            )
        return found

    def swaps(self, ask: Asking) -> list[str]:
        """From ``swap -l`` (swap(8)): the first column."""
        ran = ask.runner.ask(_SWAP, limit=60.0)
        if "no swap" in ran.said.lower():
            return []
        text = ask.text(*_SWAP)
        head, *rows = text.splitlines() or [""]
        if head.split()[:1] != ["swapfile"]:
            not_understood(_SWAP, text, "it has no heading swapfile")
        return [row.split()[0] for row in rows if row.strip()]


def _turned(path: str, rules: tuple[tuple[re.Pattern[str], str], ...]) -> str | None:
    return next((match.expand(to) for shape, to in rules if (match := shape.fullmatch(path))), None)
