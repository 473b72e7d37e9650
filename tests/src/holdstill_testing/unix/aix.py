"""AIX: mount, umount, fuser, and the freeze of chfs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from holdstill_testing.unix.common import Asked, Unix
from holdstill_testing.unix.host import Answer, Disk, Host, Mounted, Refusal
from holdstill_testing.unix.texts import Text

_LISTING: Final = "opensvc utilities/mounts/aix.py; chef ohai spec/unit/plugins/aix/filesystem_spec.rb"
_HEAD: Final = (
    "  node       mounted        mounted over    vfs       date        options      \n"
    "-------- ---------------  ---------------  ------ ------------ ---------------\n"
)
_LSLV: Final = """\
LOGICAL VOLUME:     {name:22} VOLUME GROUP:   datavg
LV IDENTIFIER:      00f6f42a00004c0000000179c407a0bb.{number} PERMISSION:     read/write
VG STATE:           active/complete        LV STATE:       {state}
TYPE:               {kind:22} WRITE VERIFY:   off
MAX LPs:            512                    PP SIZE:        1 megabyte(s)
COPIES:             2                      SCHED POLICY:   parallel
LPs:                {count:<22} PPs:            {twice}
STALE PPs:          0                      BB POLICY:      relocatable
MOUNT POINT:        {place:22} LABEL:          None
"""

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
    "option": Text(
        system="AIX",
        when="mount -o OPTIONS DEVICE PLACE, with one that it does not know",
        template="mount: 0506-338 {option} is not a known option.",
        code=1,
        settled_by="mount -v jfs2 -o nosuchoption DEVICE PLACE; echo $?",
        changes=True,
    ),
    "volume": Text(
        system="AIX",
        when="lslv LV",
        template=_LSLV,
        source="ansible-power-aix tests/unit/plugins/modules/common/sample_lslv_output1; AIX commands reference, lslv",
    ),
    "no volume": Text(
        system="AIX",
        when="lslv LV, which there is not",
        template="0516-306 lslv: Unable to find  {name} in the Device\n\tConfiguration Database.",
        code=1,
        settled_by="lslv nosuchlv; echo $?",
    ),
    "disk": Text(system="AIX", when="bootinfo -s DISK", template="{size}", source="opensvc diskinfo/aix.py: megabytes"),
    "frozen": Text(
        system="AIX",
        when="chfs -a freeze=SECONDS PLACE, of what is not mounted or frozen already",
        template="chfs: cannot freeze {place}",
        code=1,
        settled_by="chfs -a freeze=10 PLACE; chfs -a freeze=10 PLACE; echo $?",
        changes=True,
    ),
}


class Aix(Unix):
    """Its commands. A freeze ends by itself (chfs: ``freeze`` attribute); rw becomes ro by a new mount only."""

    name = "AIX"
    texts = TEXTS

    def act(self, host: Host, argv: Sequence[str]) -> Answer:
        """What is frozen is not unmounted."""
        if argv[0] == "umount" and (frozen := host.at(argv[1])) is not None and frozen.place in host.locked:
            raise Refusal(TEXTS["busy"], device=frozen.device)
        return super().act(host, argv)

    def own(self, host: Host, argv: Sequence[str]) -> Answer:
        """Do it."""
        match tuple(argv):
            case ("mount",):
                return Answer(_HEAD + "".join(f"{_row(each)}\n" for each in host.mounted))
            case ("mount", *words):
                return self._mount(host, Asked.of(words))
            case ("lslv", name):
                return _volume(host, name)
            case ("bootinfo", "-s", name) if f"/dev/{name}" in host.disks:
                return Answer(TEXTS["disk"].say(size=len(host.disks[f"/dev/{name}"].content) >> 20) + "\n")
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
        return self.mount(host, asked)

    def _freeze(self, host: Host, seconds: str, place: str) -> Answer:
        if seconds in ("off", "0"):
            host.locked.pop(place, None)
            return Answer()
        if host.at(place) is None or place in host.locked:
            raise Refusal(TEXTS["frozen"], place=place)
        host.locked[place] = host.clock + int(seconds)
        return Answer()


def _volume(host: Host, name: str) -> Answer:
    disk: Disk | None = host.disks.get(f"/dev/{name}")
    if disk is None:
        raise Refusal(TEXTS["no volume"], name=name)
    found = host.at(f"/dev/{name}")
    return Answer(
        TEXTS["volume"].say(
            name=name,
            number=list(host.disks).index(f"/dev/{name}") + 1,
            state="open/syncd" if found else "closed/syncd",
            kind=disk.kind or "jfs2",
            count=len(disk.content) >> 20,
            twice=2 * len(disk.content) >> 20,
            place=found.place if found else "N/A",
        )
    )


def _row(mounted: Mounted) -> str:
    date = time.strftime("%b %d %H:%M", time.gmtime(mounted.since))
    return TEXTS["listing"].say(node="", date=date, **mounted.fields)
