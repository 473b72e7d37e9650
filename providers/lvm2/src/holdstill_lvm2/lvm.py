"""LVM2 as its tools tell of it. What LVM cannot tell is an error, and never an absence."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
from typing import Final

import attrs

from holdstill.errors import VolumeUnusable
from holdstill.spi.runner import Ran, Runner

#: where the tools are when PATH is a user's
_SYSTEM: Final = ":/usr/local/sbin:/usr/sbin:/sbin"
#: ``/dev/GROUP/VOLUME`` or ``/dev/mapper/GROUP-VOLUME`` (lvm(8), "Valid names")
PATH: Final = re.compile(r"/dev/([A-Za-z0-9_+.][A-Za-z0-9_+.-]*)/([A-Za-z0-9_+.][A-Za-z0-9_+.-]*)")
#: what only looks is ended after so many seconds: LVM waits that long for the lock of a group at least
_LIMIT: Final = 120.0
#: lvs(8); one row for each volume, whatever it is made of
_FIELDS: Final = (
    "lv_name,vg_name,lv_uuid,vg_uuid,lv_attr,lv_size,lv_role,lv_layout,lv_tags,origin,origin_uuid,lv_dm_path,"
    "pool_lv,pool_lv_uuid,thin_id,chunk_size,transaction_id,lv_active,vg_attr,vg_extent_size,vg_free_count,vg_missing_pv_count"
)
_GROUP_FIELDS: Final = "vg_name,vg_uuid,vg_extent_size,vg_free_count"


@attrs.frozen
class Group:
    """A volume group. Sizes in bytes."""

    name: str
    uuid: str
    extent_size: int
    free_extents: int


@attrs.frozen
class LogicalVolume:
    """One row of ``lvs``. Sizes in bytes; UUIDs as LVM writes them, with hyphens."""

    name: str
    uuid: str
    group: Group
    attributes: str
    group_attributes: str
    missing_disks: int
    size: int
    roles: tuple[str, ...]
    layout: tuple[str, ...]
    tags: tuple[str, ...]
    origin: str
    origin_uuid: str
    pool: str
    pool_uuid: str
    thin_id: int
    """Of a thin volume, in its pool; -1 for all others."""
    transaction: int
    """Of a thin volume: the pool's, when it was made; -1 for all others."""
    chunk_size: int
    """Of a pool or a thick snapshot, bytes; 0 for all others."""
    path: str

    @property
    def full_name(self) -> str:
        """As the tools take it."""
        return f"{self.group.name}/{self.name}"

    @property
    def mapped(self) -> str:
        """The UUID of its device, as device-mapper knows it."""
        return mapped(self.group.uuid, self.uuid)

    @property
    def is_origin(self) -> bool:
        """Do thick snapshots hang on it? To remove it would remove them all."""
        return self.attributes[:1] in "oO"

    @property
    def is_active(self) -> bool:
        """Has it a device here?"""
        return self.attributes[4:5] not in ("-", "")

    @property
    def is_thin(self) -> bool:
        """Is it a volume of a thin pool?"""
        return self.attributes[:1] == "V" and "thin" in self.layout


@attrs.frozen
class Lvm:
    """The tools, started by ``runner``. ``patient``: nothing is ever ended or cancelled, for giving back."""

    runner: Runner
    patient: bool = False

    def volumes(self, group_uuid: str) -> list[LogicalVolume]:
        """Every volume of a group, hidden ones too. Raises ``VolumeUnusable`` if LVM cannot say."""
        rows = self._report("lvs", "lv", _FIELDS, "-a", "-S", f'vg_uuid="{group_uuid}"')
        return list({row["lv_uuid"]: _volume(row) for row in rows}.values())

    def at(self, path: str) -> LogicalVolume | None:
        """The volume that LVM would make appear at ``path``, whether it is there or not; None for none, for two of the
        same name, and where LVM cannot say.
        """
        if not PATH.fullmatch(path):
            return None
        try:
            rows = self._report("lvs", "lv", _FIELDS, "-S", f'lv_path="{path}" || lv_dm_path="{path}"')
        except VolumeUnusable:
            return None
        found = list({row["lv_uuid"]: _volume(row) for row in rows}.values())
        return found[0] if len(found) == 1 else None

    def is_exported(self, group: str) -> bool:
        """Whether a group of this name is: of such a one LVM shows no volumes."""
        ran = self.ask("vgs", "--noheadings", "-o", "vg_exported", group)
        return ran.ok and ran.out.strip() == "exported"

    def group(self, uuid: str) -> Group | None:
        """The group, or None if LVM sees none that has this UUID. Raises as ``volumes`` does."""
        rows = self._report("vgs", "vg", _GROUP_FIELDS, "-S", f'vg_uuid="{uuid}"')
        return _group(rows[0]) if rows else None

    def change(self, tool: str, *words: str) -> Ran:
        """Run what changes storage; it is waited for, however long it takes."""
        return self.runner.change((program(tool), *words))

    def must(self, tool: str, *words: str) -> None:
        """Run what changes storage. Raises ``VolumeUnusable`` if it fails."""
        ran = self.change(tool, *words)
        if not ran.ok:
            raise VolumeUnusable(f"{tool} fails: {ran.said}")

    def ask(self, tool: str, *words: str) -> Ran:
        """Run what only looks."""
        argv = (program(tool), *words)
        return self.runner.change(argv) if self.patient else self.runner.ask(argv, limit=_LIMIT)

    def _report(self, tool: str, kind: str, fields: str, *words: str) -> list[dict[str, str]]:
        ran = self.ask(tool, "--reportformat", "json", "--units", "b", "--nosuffix", "-o", fields, *words)
        if not ran.ok:
            raise VolumeUnusable(f"LVM cannot be asked: {ran.said}", next_step="see what `lvs` says")
        try:
            report = json.loads(ran.out)["report"]
            return [row for part in report for row in part[kind]]
        except (ValueError, KeyError, TypeError):
            raise VolumeUnusable("LVM answered something that is not understood", subject=tool) from None


def program(name: str) -> str:
    """The path of a tool; its bare name if it is not installed, so that starting it says so."""
    return shutil.which(name, path=os.environ.get("PATH", "") + _SYSTEM) or name


def mapped(group_uuid: str, volume_uuid: str) -> str:
    """What device-mapper calls the device of a volume (lvm2 ``lib/activate/dev_manager.c``)."""
    return "LVM-" + (group_uuid + volume_uuid).replace("-", "")


def unmapped(device: str) -> tuple[str, str] | None:
    """The UUIDs of group and volume behind a device-mapper UUID; None for anything but a whole volume's."""
    match = re.fullmatch(r"LVM-([A-Za-z0-9]{32})([A-Za-z0-9]{32})", device)
    return (hyphened(match[1]), hyphened(match[2])) if match else None


def hyphened(uuid: str) -> str:
    """32 characters as LVM writes them: 6-4-4-4-4-4-6."""
    cuts = (0, 6, 10, 14, 18, 22, 26, 32)
    return "-".join(uuid[start:end] for start, end in itertools.pairwise(cuts))


def _group(row: dict[str, str]) -> Group:
    return Group(row["vg_name"], row["vg_uuid"], int(row["vg_extent_size"]), int(row["vg_free_count"]))


def _volume(row: dict[str, str]) -> LogicalVolume:
    return LogicalVolume(
        name=row["lv_name"].strip("[]"),
        uuid=row["lv_uuid"],
        group=_group(row),
        attributes=row["lv_attr"],
        group_attributes=row["vg_attr"],
        missing_disks=int(row["vg_missing_pv_count"] or 0),
        size=int(row["lv_size"]),
        roles=_words(row["lv_role"]),
        layout=_words(row["lv_layout"]),
        tags=_words(row["lv_tags"]),
        origin=row["origin"].strip("[]"),
        origin_uuid=row["origin_uuid"],
        pool=row["pool_lv"].strip("[]"),
        pool_uuid=row["pool_lv_uuid"],
        thin_id=int(row["thin_id"] or -1),
        transaction=int(row["transaction_id"] or -1),
        chunk_size=int(row["chunk_size"] or 0),
        path=row["lv_dm_path"],
    )


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in text.split(",") if word)
