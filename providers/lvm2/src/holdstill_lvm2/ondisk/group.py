"""A volume group, as its text tells it."""

from __future__ import annotations

from typing import Final

import attrs

from holdstill.errors import StructureFault
from holdstill_lvm2.ondisk.text import Section, parsed

_SECTOR: Final = 512
_LARGEST: Final = 1 << 62


@attrs.frozen
class LogicalVolume:
    """One logical volume. ``visible``: not a part of another one."""

    name: str
    uuid: str
    """As the tools print it."""
    size: int
    """Bytes."""
    kind: str
    """The type of its first segment: ``striped``, ``thin``, ``raid1`` ..."""
    visible: bool


@attrs.frozen
class VolumeGroup:
    """One volume group."""

    name: str
    uuid: str
    sequence: int
    format: str
    """``lvm2`` or, where old tools still read it, ``lvm1``."""
    extent_size: int
    """Bytes."""
    volumes: tuple[LogicalVolume, ...]

    def named(self, name: str) -> LogicalVolume | None:
        """The logical volume of this name."""
        return next((volume for volume in self.volumes if volume.name == name), None)


def group_in(text: str) -> VolumeGroup:
    """The one group in a text, from a metadata area or from ``vgcfgbackup``. Raises ``StructureFault``."""
    groups = [(name, found) for name, found in parsed(text).items() if isinstance(found, dict)]
    if len(groups) != 1:
        raise StructureFault(f"the text tells of {len(groups)} volume groups")
    name, group = groups[0]
    extent_size = _number(group, "extent_size") * _SECTOR
    return VolumeGroup(
        name=name,
        uuid=_text(group, "id"),
        sequence=_number(group, "seqno"),
        format=_text(group, "format") if "format" in group else "lvm2",
        extent_size=extent_size,
        volumes=tuple(_volume(each, found, extent_size) for each, found in _below(group, "logical_volumes")),
    )


def _volume(name: str, section: Section, extent_size: int) -> LogicalVolume:
    segments = [found for each, found in section.items() if each.startswith("segment") and isinstance(found, dict)]
    if not segments:
        raise StructureFault(f"the logical volume {name[:40]!r} has no segment")
    extents = sum(_number(segment, "extent_count") for segment in segments)
    status = section.get("status")
    visible = isinstance(status, list) and "VISIBLE" in status
    first = min(segments, key=lambda segment: _number(segment, "start_extent"))
    return LogicalVolume(name, _text(section, "id"), extents * extent_size, _text(first, "type"), visible)


def _below(section: Section, name: str) -> list[tuple[str, Section]]:
    inner = section.get(name, {})
    if not isinstance(inner, dict):
        raise StructureFault(f"{name} is no section")
    return [(each, found) for each, found in inner.items() if isinstance(found, dict)]


def _number(section: Section, name: str) -> int:
    value = section.get(name)
    if not isinstance(value, int) or not 0 <= value < _LARGEST:
        raise StructureFault(f"{name} is no number")
    return value


def _text(section: Section, name: str) -> str:
    value = section.get(name)
    if not isinstance(value, str):
        raise StructureFault(f"{name} is no text")
    return value
