"""``fssnap`` of UFS: a snapshot in a backing file, which is gone when the file may grow no more (fssnap_ufs(8))."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from holdstill_testing.unix.host import Answer, Host, Refusal, Snapshot
from holdstill_testing.unix.texts import Text

#: a change of one byte costs one chunk of the backing file
_CHUNK: Final = 32 << 10
TEXTS: Final = {
    "made": Text(
        system="Solaris",
        when="fssnap -F ufs -o bs=FILE PLACE",
        template="/dev/fssnap/{number}",
        source="illumos fssnap_ufs(8), examples",
    ),
    "listed": Text(
        system="Solaris",
        when="fssnap -i",
        template="{number:5} {place}",
        source="illumos fssnap(8): the snapshots' numbers and mount points",
    ),
    "refused": Text(
        system="Solaris",
        when="fssnap -F ufs -o bs=FILE PLACE, of which there is one, or which is no UFS",
        template="fssnap: Could not create snapshot of {place}: File exists",
        code=1,
        settled_by="fssnap -F ufs -o bs=/var/tmp PLACE; fssnap -F ufs -o bs=/var/tmp PLACE; echo $?",
        changes=True,
    ),
    "absent": Text(
        system="Solaris",
        when="fssnap -d PLACE, of which there is none",
        template="fssnap: No snapshot of {place}",
        code=1,
        settled_by="fssnap -d /nothing/here; echo $?",
        changes=True,
    ),
}


def fssnap(host: Host, words: Sequence[str]) -> Answer:
    """Do it. Raises ``Refusal``, KeyError."""
    match tuple(words):
        case ("-F", "ufs", "-o", options, place):
            return _make(host, dict(each.partition("=")[::2] for each in options.split(",")), place)
        case ("-d", place):
            if place not in host.snapshots:
                raise Refusal(TEXTS["absent"], place=place)
            del host.snapshots[place]
            return Answer(f"Deleted snapshot of {place}.\n")
        case ("-i",):
            rows = [(kept.number, place) for place, kept in host.snapshots.items()]
            return Answer("".join(f"{TEXTS['listed'].say(number=number, place=place)}\n" for number, place in rows))
        case ("-i", "-o", names, place) if place in host.snapshots:
            return Answer("".join(f"{_told(host.snapshots[place], name)}\n" for name in names.split(",")))
        case ("-i", "-o", names, _):
            return Answer("?\n" * len(names.split(",")))
    raise KeyError("fssnap")


def _make(host: Host, options: dict[str, str], place: str) -> Answer:
    found = host.at(place)
    own = options["bs"].startswith(f"{place.rstrip('/')}/")
    if found is None or found.kind != "ufs" or place in host.snapshots or own:
        raise Refusal(TEXTS["refused"], place=place)
    number = max((kept.number for kept in host.snapshots.values()), default=-1) + 1
    limit = int(options.get("maxsize", "1048576k").removesuffix("k")) << 10
    content = bytearray(host.disks[found.device].content)
    host.snapshots[place] = Snapshot(number, options["bs"], content, limit, limit // _CHUNK)
    host.files.add(options["bs"])
    return Answer(f"{TEXTS['made'].say(number=number)}\n")


def _told(kept: Snapshot, name: str) -> str:
    """One line for each name (fssnap_ufs(8)): a question mark for what it does not know."""
    used = (kept.limit // _CHUNK - kept.left) * _CHUNK
    values = {
        "state": "active",
        "backing-store": kept.backing,
        "backing-store-len": f"{used >> 10} KB",
        "maxsize": f"{kept.limit >> 10} KB",
        "blockdevname": f"/dev/fssnap/{kept.number}",
        "rawdevname": f"/dev/rfssnap/{kept.number}",
    }
    return values.get(name, "?")
