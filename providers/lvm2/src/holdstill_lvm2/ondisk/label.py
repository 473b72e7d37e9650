"""The label and the header of an LVM2 physical volume.

Sources: lvm2 ``lib/label/label.h``, ``lib/format_text/layout.h``, ``lib/misc/crc.c``. Little-endian.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final

import attrs

from holdstill.errors import StructureFault
from holdstill.spi.reader import Reader

SECTOR: Final = 512
_SECTORS: Final = 4
_LABEL: Final = struct.Struct("<8sQII8s")
_AREA: Final = struct.Struct("<QQ")
_UUID_AND_SIZE: Final = 40
#: where the checksum of a label begins to count
_CHECKED: Final = 20
_INITIAL: Final = 0xF597A6CF
_ONES: Final = 0xFFFFFFFF


@attrs.frozen
class Area:
    """A piece of the device. Bytes."""

    offset: int
    size: int


@attrs.frozen
class PhysicalVolume:
    """What the header says."""

    sector: int
    uuid: str
    """32 characters, or empty if they are none."""
    size: int
    data: tuple[Area, ...]
    metadata: tuple[Area, ...]


def checksum(data: bytes) -> int:
    """CRC-32 with a start value of LVM's own, and the last step left out."""
    return zlib.crc32(data, _INITIAL ^ _ONES) ^ _ONES


def physical_volume(reader: Reader) -> PhysicalVolume | None:
    """The first of the first four sectors that holds a label whose checksum is right, or None. Raises ``ReadFault``."""
    head = reader.read(0, min(_SECTORS * SECTOR, reader.size))
    for sector in range(len(head) // SECTOR):
        found = _labelled(head[sector * SECTOR : (sector + 1) * SECTOR], sector)
        if found is not None:
            return found
    return None


def _labelled(data: bytes, sector: int) -> PhysicalVolume | None:
    magic, number, said, offset, kind = _LABEL.unpack_from(data)
    if magic != b"LABELONE" or kind != b"LVM2 001" or number != sector or checksum(data[_CHECKED:]) != said:
        return None
    try:
        return _header(data, sector, offset)
    except StructureFault:
        return None


def _header(data: bytes, sector: int, offset: int) -> PhysicalVolume:
    if offset + _UUID_AND_SIZE > SECTOR:
        raise StructureFault(f"the header of the physical volume begins at byte {offset} of a sector of {SECTOR}")
    size = int.from_bytes(data[offset + 32 : offset + 40], "little")
    areas, past = _areas(data, offset + _UUID_AND_SIZE)
    metadata, _ = _areas(data, past)
    return PhysicalVolume(sector, plain_id(data[offset : offset + 32]), size, areas, metadata)


def _areas(data: bytes, at: int) -> tuple[tuple[Area, ...], int]:
    """A list that ends with a row of zeros, and where it ends. The sector bounds it."""
    found: list[Area] = []
    while at + _AREA.size <= SECTOR:
        offset, size = _AREA.unpack_from(data, at)
        at += _AREA.size
        if offset == 0:
            return tuple(found), at
        found.append(Area(offset, size))
    raise StructureFault("a list of areas has no end")


def plain_id(raw: bytes) -> str:
    """The 32 characters of an identity; empty if they are anything else."""
    text = raw.decode("ascii", "replace")
    return text if len(text) == 32 and text.isalnum() and text.isascii() else ""
