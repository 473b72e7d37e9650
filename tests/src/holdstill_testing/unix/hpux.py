"""HP-UX: mount, umount and fuser."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from holdstill_testing.unix.common import Asked, fuser
from holdstill_testing.unix.host import Answer, Host, Mounted, Refusal, System
from holdstill_testing.unix.texts import Text

TEXTS: Final = {
    "listing": Text(
        system="HP-UX",
        when="mount -v",
        template="{device} on {place} type {kind} {options} on {date}",
        source="opensvc utilities/mounts/hpux.py",
    ),
    "busy": Text(
        system="HP-UX",
        when="umount PLACE, while something uses it",
        template="umount: cannot unmount {device} : Device busy",
        code=1,
        settled_by="cd PLACE && umount PLACE; echo $?",
        changes=True,
    ),
    "absent": Text(
        system="HP-UX",
        when="umount PLACE, where nothing is mounted",
        template="umount: {place}: not mounted",
        code=1,
        settled_by="umount /nothing/here; echo $?",
        changes=True,
    ),
    "unknown": Text(
        system="HP-UX",
        when="mount PLACE, of which /etc/fstab says nothing",
        template="mount: {place} not found in /etc/fstab",
        code=1,
        settled_by="mount /nothing/here; echo $?",
        changes=True,
    ),
    "already": Text(
        system="HP-UX",
        when="mount DEVICE PLACE, whose device is mounted",
        template="mount: {device} is already mounted on {place}",
        code=1,
        settled_by="mount /; echo $?",
        changes=True,
    ),
    "remount": Text(
        system="HP-UX",
        when="mount -F vxfs -o remount,ro DEVICE PLACE, of a VxFS mounted rw",
        template="vxfs mount: Cannot remount {device} read-only",
        code=1,
        settled_by="mount -F vxfs -o remount,ro DEVICE PLACE; echo $?; mount -v | grep PLACE",
        changes=True,
    ),
}


class HpUx(System):
    """Its commands. Of several ``-o`` only the last counts (mount_vxfs(1M), mount_hfs(1M))."""

    name = "HP-UX"
    texts = TEXTS

    def act(self, host: Host, argv: Sequence[str]) -> Answer:
        """Do it."""
        match tuple(argv):
            case ("mount", "-v"):
                return Answer("".join(f"{_row(each)}\n" for each in host.mounted))
            case ("mount", *words):
                return self._mount(host, Asked.of(words))
            case ("umount", name):
                host.unmount(
                    name,
                    busy=lambda found: Refusal(TEXTS["busy"], device=found.device),
                    absent=lambda: Refusal(TEXTS["absent"], place=name),
                )
                return Answer()
            case ("fuser", "-c", place):
                return fuser(host, place)
        raise KeyError(argv[0])

    def _mount(self, host: Host, asked: Asked) -> Answer:
        entry = asked.entry(host, TEXTS["unknown"])
        if "remount" in asked.options:
            raise Refusal(TEXTS["remount"], device=entry.device)
        host.mount(entry, lambda: Refusal(TEXTS["already"], device=entry.device, place=entry.place))
        return Answer()


def _row(mounted: Mounted) -> str:
    date = time.strftime("%a %b %d %H:%M:%S %Y", time.gmtime(mounted.since))
    return TEXTS["listing"].say(date=date, **mounted.fields)
