"""The envelope of every small object: no byte outside the digest, the object's own key inside it."""

from __future__ import annotations

import hmac
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import attrs

from holdstill.errors import Damaged, FormatTooNew
from holdstill.model.buffers import Buffer
from holdstill.repository.layout import MAGIC, VERSION, ObjectKind
from holdstill.repository.sealing import SIGNATURE_SIZE, Sealing, Signer

if TYPE_CHECKING:
    from holdstill.repository.digests import Digests

#: magic, kind, format version, flags, length of the body
HEADER: Final = struct.Struct("<8sBBHQ")
DIGEST_SIZE: Final = 32
#: the flags that there are: bit 0 says that the object is sealed
_KNOWN_FLAGS: Final = 1

#: what somebody may stand for who may only write
_OF_WRITERS: Final = {ObjectKind.LEDGER, ObjectKind.IMAGE, ObjectKind.VOID, ObjectKind.SEGMENT, ObjectKind.KEY}

Digest = Callable[..., bytes]


@attrs.frozen
class Framed:
    """An object taken apart."""

    kind: ObjectKind
    bound: bytes
    """What its boxes are bound to: its key and its header."""
    body: bytes
    digest: bytes
    signature: bytes


def header(kind: ObjectKind, length: int, flags: int) -> bytes:
    """The first 20 bytes of an object whose body has ``length`` bytes."""
    return HEADER.pack(MAGIC, kind, VERSION, flags, length)


def bound_key(key: str) -> bytes:
    """The object's key as every digest takes it in: its length (u32), then UTF-8."""
    name = key.encode()
    return struct.pack("<I", len(name)) + name


def seal(digests: Digests, kind: ObjectKind, key: str, body: Buffer) -> list[Buffer]:
    """The parts of the object to store under ``key``: header, body, digest. Sealed and signed where all is."""
    head = header(kind, len(body) + digests.sealing.index_box, digests.sealing.flags)
    box = digests.sealing.close_index(body, bound_key(key) + head)
    return frame(digests.of_object, digests.sealing, key, head, box)


def frame(digest: Digest, sealing: Sealing, key: str, head: bytes, body: Buffer) -> list[Buffer]:
    """The parts of an object whose body is as it is to be stored."""
    made = digest(bound_key(key), head, body)
    return [head, body, made, sealing.sign(b"object", made)]


def unseal(digests: Digests, data: bytes, key: str, *kinds: ObjectKind) -> tuple[ObjectKind, bytes]:
    """Kind and body of what was read from ``key``, if it is one of ``kinds`` and is what was written there.

    Raises ``Damaged`` or ``FormatTooNew``.
    """
    kind, body, _ = unsealed(digests, data, key, *kinds)
    return kind, body


def unsealed(digests: Digests, data: bytes, key: str, *kinds: ObjectKind) -> tuple[ObjectKind, bytes, Signer]:
    """The same, and who stands for it."""
    framed = unframe(digests.of_object, data, key, *kinds)
    signer = signed_by(digests.sealing, framed, key)
    try:
        return framed.kind, digests.sealing.open_index(framed.body, framed.bound), signer
    except Damaged as damage:
        raise Damaged(damage.message, subject=key) from damage


def signed_by(sealing: Sealing, framed: Framed, key: str) -> Signer:
    """Who stands for the object: somebody who may. Raises ``Damaged`` if nobody does, or somebody else."""
    if bool(framed.signature) != bool(sealing.flags):
        problem = "it is sealed, and nothing of this repository is" if framed.signature else "it is not sealed"
        raise Damaged(problem, subject=key)
    try:
        signer = sealing.signer(b"object", framed.digest, framed.signature)
    except Damaged as damage:
        raise Damaged(damage.message, subject=key) from damage
    if signer is not Signer.AUTHORITY and framed.kind not in _OF_WRITERS:
        raise Damaged("it is signed by somebody who may only write", subject=key)
    return signer


def check_header(data: Buffer, key: str) -> tuple[int, int, int]:
    """Kind, flags and length of the body. Raises ``Damaged``, or ``FormatTooNew`` for another version or unknown
    flags.
    """
    if len(data) < HEADER.size:
        raise Damaged(f"it has {len(data)} bytes, fewer than a header", subject=key)
    magic, kind, version, flags, length = HEADER.unpack_from(data)
    if magic != MAGIC:
        raise Damaged("it does not begin like an object of a repository", subject=key)
    if version != VERSION or flags & ~_KNOWN_FLAGS:
        raise FormatTooNew(
            f"it is in format version {version} with flags {flags:#x}; this release knows version {VERSION}",
            subject=key,
            next_step="Use a newer release; if there is none, the object is damaged.",
        )
    return kind, flags, length


def unframe(digest: Digest, data: bytes, key: str, *kinds: ObjectKind) -> Framed:
    """The parts of what was read from ``key``; nothing is opened, and no signature looked at.

    Raises ``Damaged`` or ``FormatTooNew``.
    """
    kind, flags, length = check_header(data, key)
    end = HEADER.size + length
    size = end + DIGEST_SIZE + (SIGNATURE_SIZE if flags else 0)
    if len(data) != size:
        raise Damaged(f"it has {len(data)} bytes, not {size}", subject=key)
    view = memoryview(data)
    if not hmac.compare_digest(digest(bound_key(key), view[:end]), view[end : end + DIGEST_SIZE]):
        raise Damaged("its content is not what its digest says", subject=key)
    if kind not in kinds:
        raise Damaged(f"it is an object of kind {kind}, which does not belong under this key", subject=key)
    return Framed(
        ObjectKind(kind),
        bound_key(key) + data[: HEADER.size],
        data[HEADER.size : end],
        data[end : end + DIGEST_SIZE],
        data[end + DIGEST_SIZE :],
    )
