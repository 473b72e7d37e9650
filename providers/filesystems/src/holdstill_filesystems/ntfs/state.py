"""Whether an NTFS was left in order: its dirty flag, its log, a hibernated system, shadow copies.

Sources: ntfs-3g include/ntfs-3g/layout.h and logfile.h, libntfs-3g/volume.c and logfile.c; for shadow copies,
libvshadow documentation, Volume Shadow Snapshot format.
"""

from __future__ import annotations

from typing import Final

from holdstill.errors import StructureFault
from holdstill.spi.reader import Reader
from holdstill_filesystems.fields import Layout, Record
from holdstill_filesystems.ntfs.directory import references
from holdstill_filesystems.ntfs.records import Kind, whole
from holdstill_filesystems.ntfs.table import FileTable, Stream, number_of

LOG, VOLUME, ROOT = 2, 3, 5
_VERSIONS: Final = {(1, 2), (3, 0), (3, 1)}
_FLAGS: Final = {
    0x0001: "it is marked dirty: chkdsk must run first",
    0x0002: "its log is to be made anew",
    0x0004: "it is to be upgraded when it is mounted",
    0x0010: "its journal of changes is being deleted",
    0x0020: "its object identifiers are to be repaired",
    0x4000: "chkdsk has begun and not ended",
}
#: mounted by an old system; chkdsk has changed it: these change nothing
_HARMLESS: Final = 0x0008 | 0x8000

#: an empty log is made of these bytes
_EMPTY: Final = 0xFF
#: a log that begins so is read to its end if it is no longer than this, bytes
_LONGEST_LOG: Final = 1 << 28
_PIECE: Final = 1 << 20
_PAGES: Final = (512, 65536)
_NO_CLIENT: Final = 0xFFFF
_CLEAN: Final = 2
RESTART_PAGE: Final = Layout(
    "log's restart page",
    30,
    "<",
    "ntfs-3g logfile.h, RESTART_PAGE_HEADER",
    (("magic", 0, "4s"), ("page_size", 16, "I"), ("area_at", 24, "H"), ("minor", 26, "h"), ("major", 28, "h")),
)
RESTART_AREA: Final = Layout(
    "log's restart area",
    16,
    "<",
    "ntfs-3g logfile.h, RESTART_AREA",
    (("lsn", 0, "Q"), ("client", 12, "H"), ("flags", 14, "H")),
)

_HIBERNATION: Final = "hiberfil.sys"
#: how much of that file tells; and what it begins with once the system has woken up
_HEADER: Final = 4096
_AWAKE: Final = (b"wake", b"WAKE")

#: where the header of shadow copies lies on the volume, what it begins with, and where in it their catalogue's place
#: stands
_SHADOWS: Final = 0x1E00
_SHADOWS_MAGIC: Final = bytes.fromhex("6b87083876c1484eb7ae04046e6cc752")
_CATALOGUE: Final = 48


def refuse_unless_in_order(reader: Reader, table: FileTable) -> None:
    """Raise ``StructureFault`` where something is to be done, or kept, that the bitmap does not know of."""
    _refuse_flags(table)
    _refuse_log(table.stream(LOG, Kind.DATA))
    _refuse_hibernation(table)
    _refuse_shadow_copies(reader)


def log_is_empty(table: FileTable) -> bool:
    """Was the log emptied (ntfs-3g), so that it vouches for nothing?"""
    return table.stream(LOG, Kind.DATA).read(0, 4) == bytes([_EMPTY]) * 4


def _refuse_flags(table: FileTable) -> None:
    value = table.stream(VOLUME, Kind.VOLUME_INFORMATION).read(0, 12)
    version, flags = (value[8], value[9]), int.from_bytes(value[10:12], "little")
    if version not in _VERSIONS:
        raise StructureFault(f"NTFS version {version[0]}.{version[1]} is not known")
    for flag, meaning in _FLAGS.items():
        if flags & flag:
            raise StructureFault(meaning)
    if flags & ~_HARMLESS:
        raise StructureFault(f"its volume flags 0x{flags:x} are not known")


# --- the log ----------------------------------------------------------------------------------------


def _refuse_log(log: Stream) -> None:
    if log.size < 2 * _PAGES[1]:
        raise StructureFault(f"its log has only {log.size} bytes")
    if log.read(0, 4) == bytes([_EMPTY]) * 4:
        _refuse_unless_empty(log)
        return
    first = RESTART_PAGE.parse(log.read(0, RESTART_PAGE.size), 0)
    size = first["page_size"]
    sane = _PAGES[0] <= size <= _PAGES[1] and size & size - 1 == 0
    first.require("page_size", first["magic"] == b"RSTR" and sane, "not the first page of a log")
    newest = max((_restart_area(log, at, size) for at in (0, size)), key=lambda area: int(area["lsn"]))
    closed = newest["client"] == _NO_CLIENT or bool(newest["flags"] & _CLEAN)
    newest.require("flags", closed, "it was not unmounted cleanly, and its log must be replayed first")


def _refuse_unless_empty(log: Stream) -> None:
    if log.size > _LONGEST_LOG:
        raise StructureFault(f"its log has {log.size} bytes")
    for at in range(0, log.size, _PIECE):
        piece = log.read(at, min(_PIECE, log.size - at))
        if piece.count(_EMPTY) != len(piece):
            raise StructureFault("its log was emptied, but not all of it")


def _restart_area(log: Stream, at: int, size: int) -> Record:
    data = whole(log.read(at, size), b"RSTR", at, "log's restart page")
    page = RESTART_PAGE.parse(data, at)
    page.require("page_size", page["page_size"] == size, f"the first page says {size}")
    version = (page["major"], page["minor"])
    if version == (2, 0):
        raise StructureFault("Windows keeps a part of it in a cache of its own (fast startup)")
    page.require("major", version == (1, 1), f"version {version[0]}.{version[1]} of the log is not known")
    return RESTART_AREA.parse(data[page["area_at"] :], at + page["area_at"])


# --- a system asleep --------------------------------------------------------------------------------


def _refuse_hibernation(table: FileTable) -> None:
    for reference in references(table, ROOT, _HIBERNATION):
        number, sequence = number_of(reference)
        record = table.record(number).record
        record.require("sequence", record["sequence"] == sequence, f"{_HIBERNATION} has {sequence}")
        header = table.stream(number, Kind.DATA)
        if header.size and header.size < _HEADER:
            raise StructureFault("a system that used it is hibernated")
        begin = header.read(0, min(_HEADER, header.size))
        if any(begin) and begin[:4] not in _AWAKE:
            raise StructureFault("a system on it is hibernated, or was shut down to start fast")


# --- shadow copies ----------------------------------------------------------------------------------


def _refuse_shadow_copies(reader: Reader) -> None:
    """A shadow copy needs clusters that were in use when it was made; what was freed since, the bitmap calls free."""
    if reader.size < _SHADOWS + 2 * 512:
        return
    header = reader.read(_SHADOWS, _CATALOGUE + 8)
    if header.startswith(_SHADOWS_MAGIC) and any(header[_CATALOGUE:]):
        raise StructureFault("it holds shadow copies, and these need clusters that the file system calls free")
