"""The options of TSM that speak of images, and what each is among the preferences.

Spellings, values and defaults: "Client options reference" of the Storage Protect documentation. The capitals of a
spelling are the least that must be written.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from typing import Final, TypeAlias

import attrs

from holdstill.preferences.schema import Value

#: what an option comes to, by the name of the preference
Meaning: TypeAlias = dict[str, Value]

#: kilobytes, the most that imagegapsize may say
_LARGEST_GAP: Final = (1 << 32) - 1
_UNITS: Final = {"k": 10, "m": 20, "g": 30}
#: a command in which one of these stands means something to a shell
_SHELL: Final = re.compile(r"[|&;<>()$`\\*?\[\]{}~#!=\r\n]")


class NotHonoured(Exception):
    """This value is understood, and cannot be had here. The text is a sentence without its end."""


@attrs.frozen
class Option:
    """One option."""

    spelling: str
    means: Callable[[str], Meaning] | None = None
    """Its value as preferences; raises ValueError for what is no value of it, ``NotHonoured``."""
    of_image: bool = False
    """May it stand in an include.image statement?"""
    reason: str = ""
    """Why it is not honoured, whatever its value."""

    @property
    def name(self) -> str:
        """In full."""
        return self.spelling.lower()

    def is_called(self, word: str) -> bool:
        """Is ``word`` its name, or an abbreviation that is long enough?"""
        least = max(at for at, letter in enumerate(self.spelling, 1) if letter.isupper())
        return len(word) >= least and self.name.startswith(word.lower())


def find(word: str) -> Option | None:
    """The option that is written like this, if it is one of those below."""
    return next((option for option in OPTIONS if option.is_called(word)), None)


def _provider(value: str) -> Meaning:
    known = {"jfs2": "jfs2", "linux_lvm": "lvm2", "none": "none"}
    if value.lower() == "vss":
        raise ValueError("VSS makes snapshots on Windows, which holdstill does not image")
    if value.lower() not in known:
        raise ValueError(f"{value!r} is neither JFS2 nor LINUX_LVM nor NONE")
    return {"snapshot-provider": known[value.lower()]}


def _share(value: str) -> Meaning:
    match = re.fullmatch(r"0*([1-9][0-9]?|100)%?", value, re.ASCII)
    if match is None:
        raise ValueError(f"{value!r} is no percentage from 1 to 100")
    return {"snapshot-cache-size": f"{match[1]}%"}


def _gap(value: str) -> Meaning:
    """Without a unit it is kilobytes. Gaps that are larger are skipped, those as large are not: as ``gap-size`` has
    it, too.
    """
    match = re.fullmatch(r"([0-9]{1,10})([kmg]?)", value, re.ASCII | re.IGNORECASE)
    if match is None:
        raise ValueError(f"{value!r} is no size; write it like 64, 64k, 1m or 1g")
    size = int(match[1]) << _UNITS[(match[2] or "k").lower()]
    if size > _LARGEST_GAP << 10:
        raise ValueError(f"{value!r} is more than {_LARGEST_GAP} KB")
    return {"gap-size": size}


def _dynamic(value: str) -> Meaning:
    return {"mode": "dynamic" if _yes(value) else "auto"}


def _kind(value: str) -> Meaning:
    """Of clients up to 5.1; it became dynamicimage and snapshotproviderimage."""
    if value.lower() not in ("static", "dynamic", "snapshot"):
        raise ValueError(f"{value!r} is neither static nor dynamic nor snapshot")
    return {"mode": value.lower()}


def _compression(value: str) -> Meaning:
    if not _yes(value):
        raise NotHonoured("what shrinks is always compressed, the rest is stored as it is")
    return {}


def _yes(value: str) -> bool:
    for word, meant in (("yes", True), ("no", False)):
        if value and word.startswith(value.lower()):
            return meant
    raise ValueError(f"{value!r} is neither yes nor no")


def _command(name: str) -> Callable[[str], Meaning]:
    """TSM hands its commands to a shell; ours are run without one, so what needs a shell is given one."""

    def means(value: str) -> Meaning:
        try:
            plain = not _SHELL.search(value) and bool(shlex.split(value) or not value)
        except ValueError:
            plain = False
        return {name: value if plain else shlex.join(["/bin/sh", "-c", value])}

    return means


_FILES: Final = "it speaks of files; an image is of a whole volume"
_SCHEDULE: Final = "backups are scheduled by the system here; have its timer run the command"
_WINDOWS: Final = "it belongs to snapshots on Windows"
_SEALED: Final = "whether what is stored is sealed is a matter of the repository"

OPTIONS: Final = (
    Option("SNAPSHOTPROVIDERImage", _provider, of_image=True),
    Option("SNAPSHOTCACHESize", _share, of_image=True),
    Option("IMAGEGapsize", _gap, of_image=True),
    Option("DYNAMICImage", _dynamic, of_image=True),
    Option("IMAGEType", _kind, of_image=True),
    Option("PRESNAPshotcmd", _command("presnapshotcmd"), of_image=True),
    Option("POSTSNAPshotcmd", _command("postsnapshotcmd"), of_image=True),
    Option("COMPression", _compression),
    Option("COMPRESSAlways", reason="a chunk that would grow is stored as it is, always"),
    Option("SNAPSHOTROot", reason="it belongs to one run: --snapshot-root of `holdstill backup`"),
    Option("SRVPREPOSTSNAPdisabled", reason="no server sends commands here"),
    Option("SNAPSHOTCACHELocation", reason=_WINDOWS, of_image=True),
    Option("SNAPSHOTFSIDLEWait", reason=_WINDOWS, of_image=True),
    Option("SNAPSHOTFSIDLERetries", reason=_WINDOWS, of_image=True),
    Option("SNAPSHOTPROVIDERFs", reason=_FILES),
    Option("ENCRYPTKey", reason=_SEALED),
    Option("ENCRYPTIONType", reason=_SEALED),
    Option("DEDUPLication", reason="equal chunks are stored once, always"),
    Option("PRESCHEDulecmd", reason=_SCHEDULE),
    Option("PRENSCHEDulecmd", reason=_SCHEDULE),
    Option("POSTSCHEDulecmd", reason=_SCHEDULE),
    Option("POSTNSCHEDulecmd", reason=_SCHEDULE),
    Option("DOMain", reason=_FILES),
    Option("SErvername"),
    Option("DEFAULTServer"),
    Option("INCLExcl"),
    Option("DOMAIN.IMage"),
    Option("INCLUDE.IMage"),
    Option("EXCLUDE.IMage"),
)


def why_not(word: str) -> str:
    """Why a line that begins like this has no effect."""
    option = find(word)
    if option is not None and option.reason:
        return option.reason
    if word.lower().partition(".")[0] in ("include", "exclude"):
        return _FILES
    return "it says nothing of images"
