"""Solaris: the mount table, mount, umount, fuser, and the locks of UFS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from holdstill_testing.unix.common import Asked, fuser
from holdstill_testing.unix.host import Answer, Host, Mounted, Refusal, System
from holdstill_testing.unix.texts import Text

TEXTS: Final = {
    "listing": Text(
        system="Solaris",
        when="cat /etc/mnttab",
        template="{device}\t{place}\t{kind}\t{options}\t{since}",
        source="illumos mnttab(5): five fields, tabs between them",
    ),
    "locks": Text(
        system="Solaris",
        when="lockfs PLACE, of what is locked against writing",
        template="{place:20} write",
        source="illumos lockfs(8): Filesystem, Locktype, Comment",
    ),
    "remount": Text(
        system="Solaris",
        when="mount -F ufs -o remount,ro DEVICE PLACE, of a UFS mounted rw",
        template="mount: {device} cannot remount read-only: Operation not supported",
        code=32,
        settled_by="mount -F ufs -o remount,ro DEVICE PLACE; echo $?",
        changes=True,
    ),
    "busy": Text(
        system="Solaris",
        when="umount PLACE, while something uses it",
        template="umount: {place} busy",
        code=1,
        settled_by="cd PLACE && umount PLACE; echo $?",
        changes=True,
    ),
    "absent": Text(
        system="Solaris",
        when="umount PLACE, where nothing is mounted",
        template="umount: warning: {place} not in mnttab",
        code=1,
        settled_by="umount /nothing/here; echo $?",
        changes=True,
    ),
    "unknown": Text(
        system="Solaris",
        when="mount PLACE, of which /etc/vfstab says nothing",
        template="mount: Mount point cannot be determined",
        code=1,
        settled_by="mount /nothing/here; echo $?",
        changes=True,
    ),
    "already": Text(
        system="Solaris",
        when="mount DEVICE PLACE, whose device is mounted",
        template="mount: {device} is already mounted or {place} is busy",
        code=32,
        settled_by="mount -F ufs DEVICE PLACE; mount -F ufs DEVICE PLACE; echo $?",
        changes=True,
    ),
    "locked": Text(
        system="Solaris",
        when="lockfs -w PLACE, where no UFS is mounted",
        template="lockfs: {place}: Inappropriate ioctl for device",
        code=1,
        settled_by="lockfs /proc; echo $?",
    ),
}


class Solaris(System):
    """Its commands. A UFS is never remounted read-only (illumos ufs_vfsops.c, ``remountfs``). A write lock ends when it
    is taken away, or with the mount (lockfs(8)).
    """

    name = "Solaris"
    texts = TEXTS

    def act(self, host: Host, argv: Sequence[str]) -> Answer:
        """Do it."""
        match tuple(argv):
            case ("cat", "/etc/mnttab"):
                return Answer("".join(f"{_row(each)}\n" for each in host.mounted))
            case ("mount", *words):
                return self._mount(host, Asked.of(words))
            case ("umount", name):
                host.unmount(
                    name,
                    busy=lambda found: Refusal(TEXTS["busy"], place=found.place),
                    absent=lambda: Refusal(TEXTS["absent"], place=name),
                )
                return Answer()
            case ("fuser", "-c", place):
                return fuser(host, place)
            case ("lockfs", *words):
                return self._lock(host, words)
        raise KeyError(argv[0])

    def _mount(self, host: Host, asked: Asked) -> Answer:
        entry = asked.entry(host, TEXTS["unknown"])
        found = host.at(entry.device)
        if "remount" in asked.options and found is not None:
            if asked.wanted != "rw":
                raise Refusal(TEXTS["remount"], device=entry.device)
            host.mounted[host.mounted.index(found)] = found.with_option("rw")
            return Answer()
        host.mount(entry, lambda: Refusal(TEXTS["already"], device=entry.device, place=entry.place))
        return Answer()

    def _lock(self, host: Host, words: Sequence[str]) -> Answer:
        place = words[-1]
        found = host.at(place)
        if found is None or found.kind != "ufs":
            raise Refusal(TEXTS["locked"], place=place)
        match tuple(words[:-1]):
            case ("-w",):
                host.locked[place] = 0
            case ("-u",):
                host.locked.pop(place, None)
            case ():
                rows = [TEXTS["locks"].say(place=place)] if place in host.locked else []
                return Answer("\n".join(["Filesystem           Locktype   Comment", *rows, ""]))
            case _:
                raise KeyError("lockfs")
        return Answer()


def _row(mounted: Mounted) -> str:
    return TEXTS["listing"].say(since=mounted.since, **mounted.fields)
