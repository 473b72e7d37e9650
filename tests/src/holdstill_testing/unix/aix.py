"""AIX: mount, umount, fuser, and the freeze of chfs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from holdstill_testing.unix.common import Asked, fuser
from holdstill_testing.unix.host import Answer, Host, Mounted, Refusal, System
from holdstill_testing.unix.texts import Text

_LISTING: Final = "opensvc utilities/mounts/aix.py; chef ohai spec/unit/plugins/aix/filesystem_spec.rb"
_HEAD: Final = (
    "  node       mounted        mounted over    vfs       date        options      \n"
    "-------- ---------------  ---------------  ------ ------------ ---------------\n"
)

TEXTS: Final = {
    "listing": Text(
        system="AIX",
        when="mount",
        template="{node:8} {device:16} {place:16} {kind:6} {date} {options}",
        source=_LISTING,
    ),
    "busy": Text(
        system="AIX",
        when="umount PLACE, while something uses it, or while it is frozen",
        template="umount: 0506-349 Cannot unmount {device}: The requested resource is busy.",
        code=1,
        settled_by="cd PLACE && umount PLACE; echo $?",
        changes=True,
    ),
    "absent": Text(
        system="AIX",
        when="umount PLACE, where nothing is mounted",
        template="umount: 0506-347 Cannot find anything to unmount.",
        code=1,
        settled_by="umount /nothing/here; echo $?",
        changes=True,
    ),
    "unknown": Text(
        system="AIX",
        when="mount PLACE, of which /etc/filesystems says nothing",
        template="mount: 0506-334 {place} is not a known file system.",
        code=1,
        settled_by="mount /nothing/here; echo $?",
        changes=True,
    ),
    "already": Text(
        system="AIX",
        when="mount PLACE, whose device is mounted",
        template="mount: 0506-324 Cannot mount {device} on {place}: The requested resource is busy.",
        code=1,
        settled_by="mount /; echo $?",
        changes=True,
    ),
    "remount": Text(
        system="AIX",
        when="mount -o remount,ro PLACE, of a JFS2 mounted rw",
        template="mount: 0506-324 Cannot mount {device} on {place}: A system call received a wrong parameter.",
        code=1,
        settled_by="mount -o remount,ro PLACE; echo $?; mount | grep PLACE",
        changes=True,
    ),
    "frozen": Text(
        system="AIX",
        when="chfs -a freeze=SECONDS PLACE, of what is not mounted or frozen already",
        template="chfs: cannot freeze {place}",
        code=1,
        settled_by="chfs -a freeze=10 PLACE; chfs -a freeze=10 PLACE; echo $?",
        changes=True,
    ),
}


class Aix(System):
    """Its commands. A freeze ends by itself (chfs: ``freeze`` attribute); rw becomes ro by a new mount only."""

    name = "AIX"
    texts = TEXTS

    def act(self, host: Host, argv: Sequence[str]) -> Answer:
        """Do it."""
        match tuple(argv):
            case ("mount",):
                return Answer(_HEAD + "".join(f"{_row(each)}\n" for each in host.mounted))
            case ("mount", *words):
                return self._mount(host, Asked.of(words))
            case ("umount", name):
                if (frozen := host.at(name)) is not None and frozen.place in host.locked:
                    raise Refusal(TEXTS["busy"], device=frozen.device)
                host.unmount(
                    name,
                    busy=lambda found: Refusal(TEXTS["busy"], device=found.device),
                    absent=lambda: Refusal(TEXTS["absent"]),
                )
                return Answer()
            case ("fuser", "-c", place):
                return fuser(host, place)
            case ("chfs", "-a", attribute, place) if attribute.startswith("freeze="):
                return self._freeze(host, attribute.removeprefix("freeze="), place)
        raise KeyError(argv[0])

    def _mount(self, host: Host, asked: Asked) -> Answer:
        if "remount" in asked.options:
            found = host.at(asked.names[0])
            if found is None or asked.wanted != "rw":
                device, place = (found.device, found.place) if found else ("", asked.names[0])
                raise Refusal(TEXTS["remount"], device=device, place=place)
            host.mounted[host.mounted.index(found)] = found.with_option("rw")
            return Answer()
        entry = asked.entry(host, TEXTS["unknown"])
        host.mount(entry, lambda: Refusal(TEXTS["already"], device=entry.device, place=entry.place))
        return Answer()

    def _freeze(self, host: Host, seconds: str, place: str) -> Answer:
        if seconds in ("off", "0"):
            host.locked.pop(place, None)
            return Answer()
        if host.at(place) is None or place in host.locked:
            raise Refusal(TEXTS["frozen"], place=place)
        host.locked[place] = host.clock + int(seconds)
        return Answer()


def _row(mounted: Mounted) -> str:
    date = time.strftime("%b %d %H:%M", time.gmtime(mounted.since))
    return TEXTS["listing"].say(node="", date=date, **mounted.fields)
