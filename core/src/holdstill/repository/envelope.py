"""The envelope of every small object: no byte outside the digest, the object's own key inside it."""

from __future__ import annotations

import hmac
import struct
from collections.abc import Callable
from typing import Final

from holdstill.errors import Damaged, FormatTooNew
from holdstill.model.buffers import Buffer
from holdstill.repository.layout import MAGIC, VERSION, ObjectKind

#: magic, kind, format version, flags (0), length of the body
HEADER: Final = struct.Struct("<8sBBHQ")
DIGEST_SIZE: Final = 32

Digest = Callable[..., bytes]


def header(kind: ObjectKind, length: int) -> bytes:
    """The first 20 bytes of an object whose body has ``length`` bytes."""
    return HEADER.pack(MAGIC, kind, VERSION, 0, length)


def bound_key(key: str) -> bytes:
    """The object's key as every digest takes it in: its length (u32), then UTF-8."""
    name = key.encode()
    return struct.pack("<I", len(name)) + name


def seal(digest: Digest, kind: ObjectKind, key: str, body: Buffer) -> list[Buffer]:
    """The parts of the object to store under ``key``: header, body, digest."""
    head = header(kind, len(body))
    return [head, body, digest(bound_key(key), head, body)]


def check_header(data: Buffer, key: str) -> tuple[int, int]:
    """Kind and length of the body. Raises ``Damaged``, or ``FormatTooNew`` for another version or unknown flags."""
    if len(data) < HEADER.size:
        raise Damaged(f"it has {len(data)} bytes, fewer than a header", subject=key)
    magic, kind, version, flags, length = HEADER.unpack_from(data)
    if magic != MAGIC:
        raise Damaged("it does not begin like an object of a repository", subject=key)
    if version != VERSION or flags:
        raise FormatTooNew(
            f"it is in format version {version} with flags {flags:#x}; this release knows version {VERSION}",
            subject=key,
            next_step="Use a newer release; if there is none, the object is damaged.",
        )
    return kind, length


def unseal(digest: Digest, data: bytes, key: str, *kinds: ObjectKind) -> tuple[ObjectKind, bytes]:
    """Kind and body of what was read from ``key``, if it is one of ``kinds`` and is what was written there.

    Raises ``Damaged`` or ``FormatTooNew``.
    """
    kind, length = check_header(data, key)
    end = HEADER.size + length
    if len(data) != end + DIGEST_SIZE:
        raise Damaged(f"it has {len(data)} bytes, not {end + DIGEST_SIZE}", subject=key)
    view = memoryview(data)
    if not hmac.compare_digest(digest(bound_key(key), view[:end]), view[end:]):
        raise Damaged("its content is not what its digest says", subject=key)
    if kind not in kinds:
        raise Damaged(f"it is an object of kind {kind}, which does not belong under this key", subject=key)
    return ObjectKind(kind), data[HEADER.size : end]
