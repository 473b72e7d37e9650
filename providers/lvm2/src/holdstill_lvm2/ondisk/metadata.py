"""The metadata areas of an LVM2 physical volume: where the text of its volume group is.

Source: lvm2 ``lib/format_text/layout.h``, ``format-text.c``. Little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from holdstill.errors import StructureFault
from holdstill.spi.reader import Reader
from holdstill_lvm2.ondisk.group import VolumeGroup, group_in
from holdstill_lvm2.ondisk.label import SECTOR, Area, PhysicalVolume, checksum

MAGIC: Final = b" LVM2 x[5A%r0N*>"
_HEADER: Final = struct.Struct("<I16sIQQ")
_PLACE: Final = struct.Struct("<QQII")
_IGNORED: Final = 1
#: the tools make areas of 1 MiB; a text that is longer than this is nobody's
LONGEST: Final = 4 << 20
#: the tools make two at most
_MOST_AREAS: Final = 2


def group_of(reader: Reader, volume: PhysicalVolume) -> VolumeGroup | None:
    """The group that the volume belongs to, from the area that was written last; None if it is in none, or no area
    can be believed. Raises ``ReadFault``.
    """
    found: list[VolumeGroup] = []
    for area in volume.metadata[:_MOST_AREAS]:
        try:
            found.extend(group_in(text) for text in _texts(reader, area))
        except StructureFault:
            continue  # that is what the second area is for
    return max(found, key=lambda group: group.sequence, default=None)


def _texts(reader: Reader, area: Area) -> Iterator[str]:
    """The committed text of one area, if it has one. Raises ``StructureFault`` for what cannot be believed."""
    if area.offset % SECTOR or area.size <= SECTOR or area.offset + area.size > reader.size:
        raise StructureFault(f"the metadata area at byte {area.offset} is not one")
    header = reader.read(area.offset, SECTOR)
    said, magic, version, start, size = _HEADER.unpack_from(header)
    if magic != MAGIC or version != 1 or start != area.offset or size != area.size or checksum(header[4:]) != said:
        raise StructureFault(f"the header of the metadata area at byte {area.offset} is not one")
    offset, length, sum_, flags = _PLACE.unpack_from(header, _HEADER.size)
    if offset == 0 or flags & _IGNORED:
        return
    if not SECTOR <= offset < size or not 0 < length <= min(LONGEST, size - SECTOR):
        raise StructureFault(f"the text of the metadata area at byte {area.offset} lies outside it")
    text = _round(reader, area, offset, length)
    if checksum(text) != sum_:
        raise StructureFault(f"the text of the metadata area at byte {area.offset} is not what its checksum says")
    yield text.split(b"\0", 1)[0].decode("utf-8", "backslashreplace")


def _round(reader: Reader, area: Area, offset: int, length: int) -> bytes:
    """What passes the end of the area goes on behind its header."""
    first = min(length, area.size - offset)
    text = reader.read(area.offset + offset, first)
    return text + reader.read(area.offset + SECTOR, length - first) if first < length else text
