"""HP-UX: `mount -v`, `lvdisplay`, `diskinfo`, `swapinfo`. The raw device of /dev/vg00/lvol3 is /dev/vg00/rlvol3, that
of /dev/disk/disk5 is /dev/rdisk/disk5.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Final

from holdstill.errors import VolumeUnusable
from holdstill.model.volume import Layer
from holdstill_platforms.unix.asking import Asking, not_understood
from holdstill_platforms.unix.system import Described, Mounted, System

_MOUNT: Final = ("mount", "-v")
_SWAP: Final = ("swapinfo", "-d")
#: ``dev on dir type fstype options on Day Mon DD HH:MM:SS YYYY``
_ROW: Final = re.compile(r"(\S+) on (\S+) type (\S+) (\S+) on \w{3} \w{3} +\d+ \d\d:\d\d:\d\d \d{4}")
#: the directories of disks, each beside that of the raw ones
_DISKS: Final = {"/dev/dsk": "/dev/rdsk", "/dev/disk": "/dev/rdisk"}


class HpUx(System):
    """See ``System``."""

    name = "HP-UX"
    prefix = "hp-ux"

    def mounts(self, ask: Asking) -> list[Mounted]:
        """From ``mount -v``."""
        text = ask.text(*_MOUNT)
        rows = []
        for line in text.splitlines():
            match = _ROW.fullmatch(line.strip())
            if match is None:
                not_understood(_MOUNT, text, f"the row {line.strip()!r}")
            rows.append(Mounted(*match.groups()))
        if not rows:
            not_understood(_MOUNT, text, "nothing is mounted")
        return rows

    def describe(self, ask: Asking, device: str) -> Described:
        """A logical volume by ``lvdisplay``, a disk by ``diskinfo -b``, in KB."""
        folder, name = _split(device)
        if folder in _DISKS:
            return _disk(ask, device, self.raw(device))
        argv = ("lvdisplay", device)
        text = ask.text(*argv)
        size = re.search(r"LV Size \(Mbytes\)\s+(\d+)\s*$", text, re.MULTILINE)
        if size is None:
            not_understood(argv, text, "it has no line LV Size (Mbytes)")
        group = PurePosixPath(folder).name
        return Described(
            size=int(size[1]) << 20,
            identity=device,
            layers=(Layer("hpuxlvm", name, group),),
            facts={"lv": name, "vg": group},
        )

    def block(self, path: str) -> str | None:
        """Of either device."""
        if not path.startswith("/dev/"):
            return None
        folder, name = _split(path)
        for block, raw in _DISKS.items():
            if folder == raw:
                return f"{block}/{name}"
        if folder not in _DISKS and folder.count("/") == 2 and re.fullmatch(r"rlvol\d+", name):
            return f"{folder}/{name[1:]}"
        return path

    def raw(self, device: str) -> str:
        """Of a disk in a directory of its own, of a logical volume beside it."""
        if not device.startswith("/dev/"):
            raise VolumeUnusable("no device of this host is behind it", subject=device)
        folder, name = _split(device)
        return f"{_DISKS[folder]}/{name}" if folder in _DISKS else f"{folder}/r{name}"

    def swaps(self, ask: Asking) -> list[str]:
        """From ``swapinfo -d``: the last column."""
        text = ask.text(*_SWAP)
        heads = [at for at, line in enumerate(text.splitlines()) if line.split()[:1] == ["TYPE"]]
        if not heads or text.splitlines()[heads[0]].split()[-1] != "NAME":
            not_understood(_SWAP, text, "it has no headings from TYPE to NAME")
        rows = [line.split() for line in text.splitlines()[heads[0] + 1 :] if line.strip()]
        return [words[-1] for words in rows if words[0] == "dev"]


def _split(device: str) -> tuple[str, str]:
    path = PurePosixPath(device)
    return str(path.parent), path.name


def _disk(ask: Asking, device: str, raw: str) -> Described:
    argv = ("diskinfo", "-b", raw)
    text = ask.text(*argv)
    if not text.strip().isdecimal() or not int(text):
        not_understood(argv, text, "it is no number of kilobytes")
    name = PurePosixPath(device).name
    return Described(size=int(text) << 10, identity=device, layers=(Layer("disk", name),), facts={"disk": name})
