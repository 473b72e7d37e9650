"""Saying that a device is a physical volume, of which group, and what volumes that has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from holdstill.model.volume import FilesystemFacts
from holdstill.spi.reader import Reader
from holdstill_lvm2.lvm import hyphened
from holdstill_lvm2.ondisk.label import physical_volume
from holdstill_lvm2.ondisk.lvm1 import lvm1_volume
from holdstill_lvm2.ondisk.metadata import group_of

#: libblkid's names
LVM1_MEMBER: Final = "LVM1_member"
LVM2_MEMBER: Final = "LVM2_member"
#: who owns the first sector owns the device: a label behind it is left from an earlier life
_OWNERS: Final = ((0, b"LUKS\xba\xbe"), (3, b"-FVE-FS-"))
#: so many names are told
_TOLD: Final = 8


def recognised(reader: Reader) -> FilesystemFacts | None:
    """LVM1 first: its tools and its kernel look for no label behind their header, and ours must not either. Raises
    ``ReadFault``.
    """
    old = lvm1_volume(reader)
    if old is not None:
        group = old.group + (" (exported)" if old.exported else "")
        detail = _said(f"LVM1, header version {old.version}", group, [each.name for each in old.volumes])
        return FilesystemFacts(LVM1_MEMBER, uuid=hyphened(old.uuid) if old.uuid else "", detail=detail)
    new = physical_volume(reader)
    if new is None or _owned(reader):
        return None
    found = group_of(reader, new)
    names = [each.name for each in found.volumes if each.visible] if found else []
    # The UUID is left to who reads it without a checksum: two that disagree on a damaged label would both be refused.
    return FilesystemFacts(LVM2_MEMBER, detail=_said("LVM2", found.name if found else "", names))


def _owned(reader: Reader) -> bool:
    return any(reader.read(at, len(magic)) == magic for at, magic in _OWNERS)


def _said(kind: str, group: str, names: Sequence[str]) -> str:
    if not group:
        return f"{kind}: in no volume group"
    told = ", ".join(names[:_TOLD]) + (f" and {len(names) - _TOLD} more" if len(names) > _TOLD else "")
    return f"{kind}: of volume group {group}" + (f", with {told}" if told else ", which has no volumes")
