"""Saying what is in a volume, from its signatures."""

from __future__ import annotations

from typing import Final

import attrs
import numpy as np

from holdstill.model.volume import FilesystemFacts
from holdstill.spi.reader import Reader
from holdstill_filesystems.ext.features import Compat, Incompat, RoCompat
from holdstill_filesystems.ext.superblock import LAYOUT, MAGIC, OFFSET
from holdstill_filesystems.fields import Record
from holdstill_filesystems.signatures import SIGNATURES, Signature, shown_label, shown_uuid

#: what the drivers of ext2 and ext3 understand; with anything more it is called ext4 (libblkid ext.c)
_OLD_RO_COMPAT: Final = RoCompat.SPARSE_SUPER | RoCompat.LARGE_FILE | RoCompat.BTREE_DIR
_OLD_INCOMPAT: Final = Incompat.FILETYPE | Incompat.META_BG
_TEST_FILESYSTEM: Final = 4
#: where ZFS keeps its ring of uberblocks, bytes, and how it marks one (OpenZFS uberblock_impl.h)
_UBERBLOCKS: Final = (128 << 10, 256 << 10)
_UBERBLOCK: Final = 0x00BAB10C


#: a partition table at the end of the first sector: four entries, and the mark behind them (UEFI specification, 5.2.1)
_TABLE: Final = slice(446, 512)
_ENTRIES: Final = np.dtype(
    [("active", "u1"), ("from", "3u1"), ("type", "u1"), ("to", "3u1"), ("first", "<u4"), ("count", "<u4")]
)


def recognised(reader: Reader) -> FilesystemFacts | None:
    """What is in the volume, or None. Where more is found, containers are named before file systems, and ext last."""
    found = _found(reader)
    if not found:
        return None
    first, *others = found
    names = ", ".join(dict.fromkeys(other.name for other in others))
    detail = f"also carries the signature of {names}" if others else ""
    return attrs.evolve(first, detail=detail)


def doubt(reader: Reader) -> str | None:
    """Why nobody can say which file system lives in the volume (a sentence), or None.

    Who makes a file system, or partitions, need not wipe out all that was there before. Nothing tells then which of
    the two lives, and the map of the dead one may still be without a fault.
    """
    names = [facts.name for facts in _found(reader)]
    if len(names) > 1:
        return f"it carries the signatures of {' and '.join(names)}, and nothing tells which of them is still true"
    if _is_partitioned(reader):
        return f"a table of partitions lies in its first sector, and the {names[0]} may be what the disk held before"
    return None


def _found(reader: Reader) -> list[FilesystemFacts]:
    """One for each signature, also where two are of one name."""
    found = [_facts(reader, signature) for signature in SIGNATURES if _is_here(reader, signature)]
    return [*found, *filter(None, (_zfs(reader), _ext(reader)))]


def _is_here(reader: Reader, signature: Signature) -> bool:
    at = _place(signature.at, signature, reader)
    return _bytes(reader, at, len(signature.magic)) == signature.magic


def _is_partitioned(reader: Reader) -> bool:
    """Does a partition begin behind the first sector? One that begins there is how a stick without any says so."""
    table = _bytes(reader, 0, 512)[_TABLE]
    if not table.endswith(b"\x55\xaa"):
        return False
    entries = np.frombuffer(table, dtype=_ENTRIES, count=4)
    inside = (entries["first"] > 0) & (entries["first"] < reader.size // 512)
    there = (entries["type"] > 0) & (entries["count"] > 0) & inside
    return bool((entries["active"] & 0x7F == 0).all() and there.any())


def _facts(reader: Reader, signature: Signature) -> FilesystemFacts:
    label = _bytes(reader, *signature.label) if signature.label else b""
    unique = _bytes(reader, *signature.uuid) if signature.uuid else b""
    return FilesystemFacts(
        signature.name, shown_label(label, signature.encoding), shown_uuid(unique, signature.written)
    )


def _place(at: int, signature: Signature, reader: Reader) -> int:
    return at if at >= 0 else reader.size // signature.round_to * signature.round_to + at


def _bytes(reader: Reader, offset: int, length: int) -> bytes:
    """These bytes, or none where the volume does not reach so far."""
    return reader.read(offset, length) if 0 <= offset <= reader.size - length else b""


def _zfs(reader: Reader) -> FilesystemFacts | None:
    ring = np.frombuffer(_bytes(reader, _UBERBLOCKS[0], _UBERBLOCKS[1] - _UBERBLOCKS[0]), dtype=np.uint64)
    marks = ring[:: 1024 // 8]
    here = (marks == _UBERBLOCK) | (marks.byteswap() == _UBERBLOCK)
    return FilesystemFacts("zfs_member") if here.any() else None


def _ext(reader: Reader) -> FilesystemFacts | None:
    if reader.size < OFFSET + LAYOUT.size:
        return None
    superblock = LAYOUT.read(reader, OFFSET)
    if superblock["magic"] != MAGIC:
        return None
    log_block_size = superblock["log_block_size"]
    return FilesystemFacts(
        _ext_name(superblock),
        shown_label(superblock["volume_name"], "utf-8"),
        shown_uuid(superblock["uuid"], "uuid"),
        1024 << log_block_size if log_block_size <= 6 else 0,
    )


def _ext_name(superblock: Record) -> str:
    """Which of the family it is, by the rules of libblkid."""
    compat, incompat = superblock["feature_compat"], superblock["feature_incompat"]
    if incompat & Incompat.JOURNAL_DEV:
        return "jbd"
    has_journal = bool(compat & Compat.HAS_JOURNAL)
    old = _OLD_INCOMPAT | Incompat.NEEDS_RECOVERY if has_journal else _OLD_INCOMPAT
    if not superblock["feature_ro_compat"] & ~_OLD_RO_COMPAT and not incompat & ~old:
        return "ext3" if has_journal else "ext2"
    return "ext4dev" if superblock["flags"] & _TEST_FILESYSTEM else "ext4"
