"""Solaris: the mount table, mount, umount, fuser, and the locks of UFS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from holdstill_testing.unix.common import Asked, Unix
from holdstill_testing.unix.fssnap import fssnap
from holdstill_testing.unix.host import Answer, Host, Mounted, Refusal
from holdstill_testing.unix.texts import Text

TEXTS: Final = {
    "listing": Text(
        system="Solaris",
        when="cat /etc/mnttab",
        template="{device}\t{place}\t{kind}\t{options},dev=1980006\t{since}",
        source="illumos mnttab(5): five fields, tabs between them",
    ),
    "locks": Text(
        system="Solaris",
        when="lockfs PLACE, of what is locked against writing",
        template="{place:20} write      {comment}",
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
    "option": Text(
        system="Solaris",
        when="mount -F ufs -o OPTIONS DEVICE PLACE, with one that it does not know",
        template='mount: {device} on PLACE WARNING unknown option "{option}"',
        code=33,
        settled_by="mount -F ufs -o nosuchoption DEVICE PLACE; echo $?",
        changes=True,
    ),
    "label": Text(
        system="Solaris",
        when="prtvtoc DEVICE",
        template="{slice:>8}      4    00 {first:>10} {count:>10} {last:>10}   {place}",
        source="illumos prtvtoc(8), its example; opensvc diskinfo/sunos.py",
    ),
    "swap": Text(
        system="Solaris",
        when="swap -l",
        template="{device:20} 32,1       8 {count:>8} {count:>8}",
        source="illumos swap(8): swapfile, dev, swaplo, blocks, free",
    ),
    "no swap": Text(
        system="Solaris",
        when="swap -l, where there is none",
        template="No swap devices configured",
        code=1,
        settled_by="swap -l; echo $?",
    ),
    "no disk": Text(
        system="Solaris",
        when="prtvtoc DEVICE, which there is not",
        template="prtvtoc: {device}: No such file or directory",
        code=1,
        settled_by="prtvtoc /dev/rdsk/nosuchdisk; echo $?",
    ),
}
_LABEL_HEAD: Final = """\
* {device} partition map
*
* Dimensions:
*     512 bytes/sector
*
*                          First     Sector    Last
* Partition  Tag  Flags    Sector     Count    Sector  Mount Directory
"""
_SWAP_HEAD: Final = "swapfile             dev    swaplo   blocks     free\n"


class Solaris(Unix):
    """Its commands. A UFS is never remounted read-only (illumos ufs_vfsops.c, ``remountfs``). A write lock ends when it
    is taken away, or with the mount (lockfs(8)).
    """

    name = "Solaris"
    texts = TEXTS

    def own(self, host: Host, argv: Sequence[str]) -> Answer:
        """Do it."""
        match tuple(argv):
            case ("cat", "/etc/mnttab"):
                return Answer("".join(f"{_row(each)}\n" for each in host.mounted))
            case ("mount", *words):
                return self._mount(host, Asked.of(words))
            case ("lockfs", *words):
                return self._lock(host, words)
            case ("prtvtoc", raw):
                return _label(host, raw)
            case ("swap", "-l"):
                return _swaps(host)
            case ("fssnap", *words):
                return fssnap(host, words)
            case ("rm", "-f", path):
                host.files.discard(path)
                return Answer()
        raise KeyError(argv[0])

    def _mount(self, host: Host, asked: Asked) -> Answer:
        entry = asked.entry(host, TEXTS["unknown"])
        found = host.at(entry.device)
        if "remount" in asked.options and found is not None:
            if asked.wanted != "rw":
                raise Refusal(TEXTS["remount"], device=entry.device)
            host.mounted[host.mounted.index(found)] = found.with_option("rw")
            return Answer()
        return self.mount(host, asked)

    def _lock(self, host: Host, words: Sequence[str]) -> Answer:
        place = words[-1]
        found = host.at(place)
        if found is None or found.kind != "ufs":
            raise Refusal(TEXTS["locked"], place=place)
        match tuple(words[:-1]):
            case ("-f",):
                pass
            case ("-w", *comment):
                host.locked[place] = 0
                host.comments[place] = comment[1] if comment else ""
            case ("-u",):
                host.locked.pop(place, None)
            case ():
                rows = (
                    [TEXTS["locks"].say(place=place, comment=host.comments.get(place, "")).rstrip()]
                    if place in host.locked
                    else []
                )
                return Answer("\n".join(["Filesystem           Locktype   Comment", *rows, ""]))
            case _:
                raise KeyError("lockfs")
        return Answer()


def _label(host: Host, raw: str) -> Answer:
    found = [(name, disk) for name, disk in host.disks.items() if disk.raw == raw]
    if not found:
        raise Refusal(TEXTS["no disk"], device=raw)
    name, disk = found[0]
    count = len(disk.content) >> 9
    row = TEXTS["label"].say(slice=name[-1], first=0, count=count, last=count - 1, place="")
    return Answer(_LABEL_HEAD.format(device=raw) + f"{row.rstrip()}\n")


def _swaps(host: Host) -> Answer:
    swaps = [(name, disk) for name, disk in host.disks.items() if disk.kind == "swap"]
    if not swaps:
        raise Refusal(TEXTS["no swap"])
    rows = [TEXTS["swap"].say(device=name, count=len(disk.content) >> 9) for name, disk in swaps]
    return Answer(_SWAP_HEAD + "".join(f"{row}\n" for row in rows))


def _row(mounted: Mounted) -> str:
    return TEXTS["listing"].say(since=mounted.since, **mounted.fields)
