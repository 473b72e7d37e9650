"""What the commands for logical volumes, file systems and snapshots of AIX print."""

from __future__ import annotations

from typing import Final

from holdstill_testing.unix.texts import Text

_LVM: Final = "opensvc utilities/subsystems/lvm/aix.py"
_LSLV: Final = """\
LOGICAL VOLUME:     {name:22} VOLUME GROUP:   {group}
LV IDENTIFIER:      {ident} PERMISSION:     read/write
VG STATE:           active/complete        LV STATE:       {state}
TYPE:               jfs2                   WRITE VERIFY:   off
MAX LPs:            512                    PP SIZE:        {size} megabyte(s)
COPIES:             1                      SCHED POLICY:   parallel
LPs:                {partitions:<22} PPs:            {partitions}
STALE PPs:          0                      BB POLICY:      relocatable
MOUNT POINT:        {place:22} LABEL:          {label}
DEVICESUBTYPE:      DS_LVZ
ENCRYPTION:         no"""
_LSFS: Final = (
    "#MountPoint:Device:Vfs:Nodename:Type:Size:Options:AutoMount:Acct\n"
    "{place}:{device}:jfs2:::{size}:rw:yes:no\n"
    "(lv size {size}:fs size {size}:block size {block}:sparse files yes:inline log {inline}:inline log size 0"
    ":EAformat v1:Quota no:DMAPI no:VIX yes:EFS no:ISNAPSHOT {internal}:MAXEXT 0:MountGuard no:LFF no)"
)
_LSVG: Final = """\
VOLUME GROUP:       {name:24} VG IDENTIFIER:  {ident}
VG STATE:           active                   PP SIZE:        {size} megabyte(s)
VG PERMISSION:      read/write               TOTAL PPs:      1023 (65472 megabytes)
MAX LVs:            256                      FREE PPs:       {free} ({megabytes} megabytes)
LVs:                12                       USED PPs:       306 (19584 megabytes)"""


#: how what only looks begins
_LOOKS: Final = ("lsvg", "lslv", "lsfs", "snapshot -q PLACE; echo")


def _recalled(when: str, template: str, settled_by: str, code: int = 0) -> Text:
    changes = not settled_by.startswith(_LOOKS)
    return Text(system="AIX", when=when, template=template, code=code, settled_by=settled_by, changes=changes)


_ASK: Final = "snapshot -q PLACE; echo $?"
_MAKE: Final = "snapshot -o snapfrom=PLACE /dev/LV; echo $?"

TEXTS: Final = {
    "labelled volume": Text(
        system="AIX",
        when="lslv LV, with its label",
        template=_LSLV,
        source="ansible-power-aix tests/unit/plugins/modules/common/sample_lslv_output1",
    ),
    "filesystem": Text(
        system="AIX",
        when="lsfs -cq PLACE",
        template=_LSFS,
        source="ansible-power-aix tests and plugins/modules/filesystem.py",
    ),
    "group": Text(system="AIX", when="lsvg VG", template=_LSVG, source=_LVM),
    "members": Text(
        system="AIX",
        when="lsvg -l VG",
        template="{group}:\nLV NAME             TYPE       LPs     PPs     PVs  LV STATE      MOUNT POINT\n{rows}",
        source=_LVM,
    ),
    "member": Text(
        system="AIX",
        when="lsvg -l VG, one row",
        template="{name:19} jfs2       {partitions:<7} {partitions:<7} 1    {state:13} {place}",
        source=_LVM,
    ),
    **{
        name: _recalled(when, template, settled_by)
        for name, when, template, settled_by in (
            ("made", "mklv -y LV ... VG COUNT", "{name}", "mklv -t jfs2 -y hstest -L hstest VG 1; echo $?"),
            ("removed", "rmlv -f LV", "rmlv: Logical volume {name} is removed.", "rmlv -f hstest; echo $?"),
            (
                "external made",
                "snapshot -o snapfrom=PLACE /dev/LV",
                "Snapshot for file system {place} created on /dev/{name}",
                _MAKE,
            ),
            (
                "internal made",
                "snapshot -o snapfrom=PLACE -n NAME",
                "Snapshot for file system {place} created: {name}",
                "snapshot -o snapfrom=PLACE -n hstest; echo $?",
            ),
            (
                "grown",
                "snapshot -o size=BLOCKS /dev/LV",
                "Snapshot {name} grown",
                "snapshot -o size=BLOCKS /dev/LV; echo $?",
            ),
            (
                "deleted",
                "snapshot -d /dev/LV",
                "rmlv: Logical volume {name} is removed.",
                "snapshot -d /dev/LV; echo $?",
            ),
            (
                "external rows",
                "snapshot -q PLACE, with external snapshots; INVALID behind a row that is lost",
                "Snapshots for {place}\nCurrent  Location          512-blocks        Free Time\n{rows}",
                "snapshot -q PLACE; fill the snapshot; snapshot -q PLACE; echo $?",
            ),
            (
                "internal rows",
                "snapshot -q PLACE, with internal snapshots",
                "Snapshots for {place}\nCurrent  Name         Time\n{rows}",
                _ASK,
            ),
            ("none", "snapshot -q PLACE, with no snapshots", "{place} has no snapshots.", _ASK),
        )
    },
    **{
        name: _recalled(when, template, settled_by, code=1)
        for name, when, template, settled_by in (
            (
                "no group",
                "lsvg VG, which there is not",
                "0516-306 : Unable to find volume group {name}",
                "lsvg nosuchvg; echo $?",
            ),
            (
                "unknown volume",
                "lslv LV, with its label, which there is not",
                "0516-306 lslv: Unable to find  {name}",
                "lslv nosuchlv",
            ),
            (
                "no filesystem",
                "lsfs -cq PLACE, of which nothing is known",
                "lsfs: 0506-915 No record matching {place}",
                "lsfs -cq /x",
            ),
            (
                "name taken",
                "mklv -y LV, whose name is taken or too long",
                "0516-362 mklv: {name} is taken",
                "mklv -t jfs2 -y hstest VG 1; mklv -t jfs2 -y hstest VG 1; echo $?",
            ),
            (
                "no room",
                "mklv, with too few free partitions",
                "0516-404 allocp: not enough resources",
                "mklv -y hstest VG 99999; echo $?",
            ),
            (
                "open",
                "rmlv -f LV, which is open or holds a snapshot",
                "0516-914 rmlv: {name} is open",
                "snapshot -o snapfrom=PLACE /dev/hstest; rmlv -f hstest; echo $?",
            ),
            (
                "no snapshot",
                "snapshot -d, of what is none",
                "snapshot: {name} is not a snapshot",
                "mklv -t jfs2 -y hstest VG 1; snapshot -d /dev/hstest; echo $?",
            ),
            (
                "refused",
                "snapshot -o, of the other kind, too many, or not made for it",
                "snapshot: cannot create for {place}",
                _MAKE,
            ),
            (
                "not frozen",
                "chfs -a refreeze=SECONDS PLACE, which is not frozen",
                "chfs: {place} not frozen",
                "chfs -a refreeze=9 PLACE",
            ),
        )
    },
}
