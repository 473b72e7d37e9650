"""AIX: `mount`, `lslv`, `bootinfo`. Names of devices are flat: /dev/NAME, and /dev/rNAME is the raw one."""

from __future__ import annotations

import re
from typing import Final

from holdstill.errors import VolumeUnusable
from holdstill.model.volume import Layer
from holdstill_platforms.unix.asking import Asking, not_understood
from holdstill_platforms.unix.system import Described, Mounted, System

_MOUNT: Final = ("mount",)
_HEADINGS: Final = ["node", "mounted", "mounted", "over", "vfs", "date", "options"]
_DATE: Final = re.compile(r"[A-Z][a-z]{2} \d{1,2} \d\d:\d\d")
#: headings of ``lslv`` (commands reference, lslv), of which several are the ends of others
_FIELD: Final = re.compile(
    r"(LV IDENTIFIER|VOLUME GROUP|LV STATE|TYPE|MAX LPs|PP SIZE|STALE PPs|LPs|COPIES):\s+(\S+(?: megabyte\(s\))?)"
)
_RAW_NAME: Final = re.compile(r"/dev/r((?:hdisk|hd|lv|fslv|loglv|paging)\d+\w*)")
#: what a logical volume of these types is for: the system itself has it
_HELD: Final = {
    "paging": "the system pages to it",
    "sysdump": "the system dumps to it",
    "jfs2log": "it is the log of JFS2 file systems",
    "jfslog": "it is the log of JFS file systems",
    "boot": "the system boots from it",
    "aio_cache": "it is a cache",
}


class Aix(System):
    """See ``System``."""

    name = "AIX"
    prefix = "aix"

    def mounts(self, ask: Asking) -> list[Mounted]:
        """From ``mount``: two lines of heading, and rows that begin with a node where one is mounted from afar."""
        text = ask.text(*_MOUNT)
        lines = text.splitlines()
        if len(lines) < 2 or lines[0].split() != _HEADINGS or not lines[1].startswith("---"):
            not_understood(_MOUNT, text, "its headings are not node, mounted, mounted over, vfs, date, options")
        return [_row(line, text) for line in lines[2:] if line.strip()]

    def describe(self, ask: Asking, device: str) -> Described:
        """A logical volume by ``lslv``: as large as its logical partitions. A disk by ``bootinfo -s``, in MB."""
        name = device.removeprefix("/dev/")
        if re.fullmatch(r"hdisk\d+", name):
            return _disk(ask, device, name)
        argv = ("lslv", name)
        text = ask.text(*argv)
        found: dict[str, str] = {}
        for key, value in _FIELD.findall(text):
            found.setdefault(key, value)
        size = re.fullmatch(r"(\d+) megabyte\(s\)", found.get("PP SIZE", ""))
        count = found.get("LPs", "")
        if size is None or not count.isdecimal() or "LV IDENTIFIER" not in found:
            not_understood(argv, text, "it has no LV IDENTIFIER, LPs and PP SIZE in megabyte(s)")
        kind = found.get("TYPE", "")
        group = found.get("VOLUME GROUP", "")
        return Described(
            size=int(count) * int(size[1]) << 20,
            identity=f"lv:{found['LV IDENTIFIER']}",
            holders=(_HELD[kind],) if kind in _HELD else (),
            layers=(Layer("aixlvm", name, group),),
            facts={"lv": name, "vg": group, "lv_type": kind, "lv_state": found.get("LV STATE", "")},
        )

    def block(self, path: str) -> str | None:
        """Also of a raw one, where its name is one that the system gives."""
        match = _RAW_NAME.fullmatch(path)
        if match:
            return f"/dev/{match[1]}"
        return path if path.startswith("/dev/") else None

    def named(self, name: str) -> str | None:
        """A logical volume: no two of a host have one name."""
        return f"/dev/{name}"

    def raw(self, device: str) -> str:
        """/dev/rNAME."""
        if not device.startswith("/dev/") or device == "/dev/":
            raise VolumeUnusable("no device of this host is behind it", subject=device)
        return f"/dev/r{device.removeprefix('/dev/')}"


def _row(line: str, text: str) -> Mounted:
    words = line.split()
    node = "" if line[0].isspace() else words.pop(0)
    if len(words) not in (6, 7) or not _DATE.fullmatch(" ".join(words[3:6])):
        not_understood(_MOUNT, text, f"the row {line.strip()!r}")
    device, place, kind = words[:3]
    return Mounted(f"{node}:{device}" if node else device, place, kind, words[6] if len(words) == 7 else "")


def _disk(ask: Asking, device: str, name: str) -> Described:
    argv = ("bootinfo", "-s", name)
    text = ask.text(*argv)
    if not text.strip().isdecimal() or not int(text):
        not_understood(argv, text, "it is no number of megabytes")
    return Described(size=int(text) << 20, identity=device, layers=(Layer("disk", name),), facts={"disk": name})
