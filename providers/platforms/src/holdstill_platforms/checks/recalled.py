"""What is recalled of AIX, HP-UX and Solaris and was never seen: ``recalled.json``, which is written with the page of
the unproven (docs/explanation/unproven.md), from the texts that the simulated hosts print.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from importlib import resources
from typing import Final

from holdstill.errors import VolumeError
from holdstill.spi.checks import HostCheck, Settled
from holdstill.spi.runner import Ran, Runner
from holdstill_platforms.unix.asking import LIMIT, Asking
from holdstill_platforms.unix.system import System

#: so much of an answer is kept, characters
KEPT: Final = 4000
#: a command about a mounted file system is asked of so many
_PLACES: Final = 3


def checks(system: System, runner: Runner) -> Iterator[HostCheck]:
    """All that is known of the system; first whether its mount table is understood."""
    ask = Asking(runner)
    places: list[str] = []
    try:
        rows = system.mounts(ask)
        places = [row.place for row in rows if row.device.startswith("/dev/") and row.place != "/"][:_PLACES]
        said, settled = f"{len(rows)} rows", Settled.AS_TAKEN
    except VolumeError as error:
        said, settled = str(error), Settled.OTHERWISE
    yield HostCheck("the mount table is understood", "mount", "rows of the known shape", settled, said[:KEPT])
    for entry in json.loads(resources.files(__package__).joinpath("recalled.json").read_text()):
        if entry["system"] == system.name:
            yield from _settle(entry, places, runner)


def _settle(entry: dict[str, str], places: Sequence[str], runner: Runner) -> Iterator[HostCheck]:
    if not entry["asked"] or ("PLACE" in entry["asked"].split() and not places):
        yield HostCheck(entry["when"], entry["by_hand"], entry["taken"], Settled.UNASKED, taken_code=int(entry["code"]))
        return
    words = shlex.split(entry["asked"])
    for place in places if "PLACE" in words else [""]:
        argv = [place if word == "PLACE" else word for word in words]
        ran = runner.ask(argv, limit=LIMIT)
        settled = Settled.AS_TAKEN if _is_as(entry, ran) else Settled.OTHERWISE
        yield HostCheck(
            entry["when"], shlex.join(argv), entry["taken"], settled, said(ran), int(entry["code"]), ran.code
        )


def said(ran: Ran) -> str:
    """Both outputs, as much as is kept; else how it ended."""
    return "\n".join(filter(None, (ran.out.rstrip(), ran.err.rstrip())))[:KEPT] or ran.said


def _is_as(entry: dict[str, str], ran: Ran) -> bool:
    """By its words, whatever stands where a name or a number is left open, and however they are spaced."""
    if ran.timed_out or ran.code != int(entry["code"]):
        return False
    pattern = ".*?".join(re.escape(" ".join(part.split())) for part in re.split(r"\{[^}]*\}", entry["taken"]))
    return re.search(pattern.replace(r"\ ", r"\s*"), said(ran), re.DOTALL) is not None
