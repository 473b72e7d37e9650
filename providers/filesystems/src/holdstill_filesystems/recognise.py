"""Saying what is in a volume, from its signatures."""

from __future__ import annotations

from typing import Final

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


def recognised(reader: Reader) -> FilesystemFacts | None:
    """What is in the volume, or None. Where two signatures are found, ext is the one not believed.

    A member of a mirror or a new ZFS pool can carry the whole superblock of an ext file system; to take its map would
    lose data, to take something else's whole volume only time.
    """
    ext = _ext(reader)
    other = _by_signature(reader) or _zfs(reader)
    if other is None:
        return ext
    detail = f"also carries the signature of {ext.name}" if ext else ""
    return FilesystemFacts(other.name, other.label, other.uuid, other.block_size, detail)


def _by_signature(reader: Reader) -> FilesystemFacts | None:
    for signature in SIGNATURES:
        at = _place(signature.at, signature, reader)
        if _bytes(reader, at, len(signature.magic)) == signature.magic:
            return _facts(reader, signature)
    return None


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
