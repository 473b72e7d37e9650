"""HP-UX: mount, umount and fuser."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from holdstill_testing.unix.common import Asked, Unix
from holdstill_testing.unix.host import Answer, Host, Mounted, Refusal
from holdstill_testing.unix.texts import Text

_LVDISPLAY: Final = """\
--- Logical volumes ---
LV Name                     {device}
VG Name                     {group}
LV Permission               read/write
LV Status                   available/syncd
Mirror copies               0
LV Size (Mbytes)            {size}
Current LE                  {size}
Allocated PE                {size}
"""
_SWAP_HEAD: Final = """\
             Kb      Kb      Kb   PCT  START/      Kb
TYPE      AVAIL    USED    FREE  USED   LIMIT RESERVE  PRI  NAME
"""

TEXTS: Final = {
    "listing": Text(
        system="HP-UX",
        when="mount -v",
        template="{device} on {place} type {kind} {options},dev=40000003 on {date}",
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
    "option": Text(
        system="HP-UX",
        when="mount -F vxfs -o OPTIONS DEVICE PLACE, with one that it does not know",
        template="vxfs mount: illegal -o suboption -- {option}",
        code=2,
        settled_by="mount -F vxfs -o nosuchoption DEVICE PLACE; echo $?",
        changes=True,
    ),
    "volume": Text(
        system="HP-UX",
        when="lvdisplay LV",
        template=_LVDISPLAY,
        settled_by="lvdisplay /dev/vg00/lvol3",
    ),
    "no volume": Text(
        system="HP-UX",
        when="lvdisplay LV, which there is not",
        template='lvdisplay: Couldn\'t query logical volume "{name}":\nNo such file or directory',
        code=1,
        settled_by="lvdisplay /dev/vg00/nosuchlvol; echo $?",
    ),
    "disk": Text(
        system="HP-UX",
        when="diskinfo -b DISK",
        template="{size}",
        settled_by="diskinfo -b /dev/rdisk/disk1",
    ),
    "no disk": Text(
        system="HP-UX",
        when="diskinfo -b DISK, which there is not",
        template="diskinfo: can't open {device}: No such file or directory",
        code=1,
        settled_by="diskinfo -b /dev/rdisk/nosuchdisk; echo $?",
    ),
    "swap": Text(
        system="HP-UX",
        when="swapinfo -d",
        template="dev      {size:8}       0 {size:8}    0%       0       -    1  {device}",
        settled_by="swapinfo -d",
    ),
}


class HpUx(Unix):
    """Its commands. Of several ``-o`` only the last counts (mount_vxfs(1M), mount_hfs(1M))."""

    name = "HP-UX"
    texts = TEXTS

    def own(self, host: Host, argv: Sequence[str]) -> Answer:
        """Do it."""
        match tuple(argv):
            case ("mount", "-v"):
                return Answer("".join(f"{_row(each)}\n" for each in host.mounted))
            case ("mount", *words):
                return self._mount(host, Asked.of(words))
            case ("lvdisplay", device):
                return _volume(host, device)
            case ("diskinfo", "-b", raw):
                found = [disk for disk in host.disks.values() if disk.raw == raw]
                if not found:
                    raise Refusal(TEXTS["no disk"], device=raw)
                return Answer(TEXTS["disk"].say(size=len(found[0].content) >> 10) + "\n")
            case ("swapinfo", "-d"):
                return Answer(_SWAP_HEAD + "".join(f"{row}\n" for row in _swaps(host)))
        raise KeyError(argv[0])

    def _mount(self, host: Host, asked: Asked) -> Answer:
        if "remount" in asked.options:
            raise Refusal(TEXTS["remount"], device=asked.entry(host, TEXTS["unknown"]).device)
        return self.mount(host, asked)


def _volume(host: Host, device: str) -> Answer:
    disk = host.disks.get(device)
    if disk is None:
        raise Refusal(TEXTS["no volume"], name=device)
    group = device.rpartition("/")[0]
    return Answer(TEXTS["volume"].say(device=device, group=group, size=len(disk.content) >> 20))


def _swaps(host: Host) -> list[str]:
    swaps = [(name, disk) for name, disk in host.disks.items() if disk.kind == "swap"]
    return [TEXTS["swap"].say(size=len(disk.content) >> 10, device=name) for name, disk in swaps]


def _row(mounted: Mounted) -> str:
    date = time.strftime("%a %b %d %H:%M:%S %Y", time.gmtime(mounted.since))
    return TEXTS["listing"].say(date=date, **mounted.fields)
