"""The header of an LVM1 physical volume, versions 1 and 2.

Source: lvm2 up to 2.02.177, ``lib/format1/disk-rep.h``. Little-endian, no label, no checksums.
"""

from __future__ import annotations

import struct
from typing import Final

import attrs

from holdstill.spi.reader import Reader
from holdstill_lvm2.ondisk.label import SECTOR, plain_id

_VERSIONS: Final = (1, 2)
_HEADER: Final = 468
_NUMBERS: Final = struct.Struct("<8I")
_NUMBERS_AT: Final = 436
_AREA: Final = struct.Struct("<II")
_LVS_AT: Final = 28
_PES_AT: Final = 36
_NAME: Final = 128
_LV: Final = struct.Struct("<128s128sIIIIIIIII")
_LV_SIZE: Final = 328
_MOST_LVS: Final = 256
#: what stands behind the name of a group that was exported
_EXPORTED: Final = "PV_EXP"


@attrs.frozen
class Lvm1Volume:
    """A logical volume of the group, as this disk lists it. ``size``: bytes."""

    name: str
    size: int


@attrs.frozen
class Lvm1PhysicalVolume:
    """What the header says. Sizes in bytes."""

    version: int
    uuid: str
    """32 characters, or empty if they are none."""
    group: str
    """Empty: in no group."""
    exported: bool
    size: int
    extent_size: int
    extents: int
    data_starts: int
    volumes: tuple[Lvm1Volume, ...]


def lvm1_volume(reader: Reader) -> Lvm1PhysicalVolume | None:
    """The LVM1 physical volume that begins here, or None. Its first four bytes alone decide: where nothing is
    checksummed, more conditions would only make a damaged one look like something else. Raises ``ReadFault``.
    """
    if reader.size < SECTOR:
        return None
    data = reader.read(0, SECTOR)
    version = int.from_bytes(data[2:4], "little")
    if data[:2] != b"HM" or version not in _VERSIONS:
        return None
    _, _, size, lv_count, extent_size, extents, _, pe_start = _NUMBERS.unpack_from(data[:_HEADER], _NUMBERS_AT)
    if version == 1:
        base, length = _AREA.unpack_from(data, _PES_AT)
        pe_start = (base + length) // SECTOR
    group = _string(data[172 : 172 + _NAME])
    return Lvm1PhysicalVolume(
        version=version,
        uuid=plain_id(data[44:76]),
        group=group.removesuffix(_EXPORTED),
        exported=group.endswith(_EXPORTED),
        size=size * SECTOR,
        extent_size=extent_size * SECTOR,
        extents=extents,
        data_starts=pe_start * SECTOR,
        volumes=_volumes(reader, *_AREA.unpack_from(data, _LVS_AT)) if lv_count else (),
    )


def _volumes(reader: Reader, base: int, length: int) -> tuple[Lvm1Volume, ...]:
    """The list of logical volumes; what lies outside the device is no list."""
    count = min(length // _LV_SIZE, _MOST_LVS)
    if base + count * _LV_SIZE > reader.size:
        return ()
    data = reader.read(base, count * _LV_SIZE)
    found = []
    for at in range(0, len(data), _LV_SIZE):
        name, *_, size = _LV.unpack_from(data, at)
        if shown := _string(name):
            found.append(Lvm1Volume(shown.rpartition("/")[2], size * SECTOR))
    return tuple(found)


def _string(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("utf-8", "backslashreplace")
