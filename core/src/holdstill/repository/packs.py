"""A pack: header, blobs back to back, a row for each, and a trailer that a reader begins with."""

from __future__ import annotations

import hmac
import struct
from collections.abc import Sequence
from typing import Final

import attrs
import numpy as np

from holdstill.errors import Damaged
from holdstill.model.buffers import Buffer
from holdstill.repository import envelope, rows
from holdstill.repository.codecs import Codecs
from holdstill.repository.digests import Digests
from holdstill.repository.layout import LARGEST_PACK, BlobKind, ObjectKind
from holdstill.repository.rows import STORED, Encoded, Rows
from holdstill.repository.sealing import Sealing, Signer
from holdstill.spi.target import Target

#: number of rows; then the digest
_COUNT: Final = struct.Struct("<I")
TRAILER_SIZE: Final = _COUNT.size + envelope.DIGEST_SIZE
#: what one request for a footer asks for: enough for the rows of nearly every pack
_FOOTER_GUESS: Final = 64 << 10


@attrs.define
class PackBuilder:
    """Collects blobs until there are enough for a pack."""

    _blobs: list[Encoded] = attrs.field(factory=list, init=False)
    _footer: bytearray = attrs.field(factory=bytearray, init=False)
    size: int = attrs.field(default=0, init=False)
    """Bytes of all blobs and rows so far."""

    def add(self, blob: Encoded) -> None:
        """One more blob."""
        self._blobs.append(blob)
        self._footer += blob.row
        self.size += blob.size + STORED.itemsize

    @property
    def count(self) -> int:
        """How many blobs."""
        return len(self._blobs)

    @property
    def names(self) -> list[tuple[BlobKind, bytes]]:
        """Kind and id of each blob."""
        return [(blob.kind, blob.id) for blob in self._blobs]

    def rows(self) -> Rows:
        """The rows so far."""
        return np.frombuffer(bytes(self._footer), dtype=STORED)

    def seal(self, digests: Digests, key: str) -> list[Buffer]:
        """The parts of the object to store under ``key``."""
        sealing, count = digests.sealing, _COUNT.pack(len(self._blobs))
        head = _header(self.size + sealing.index_box + len(count), sealing)
        footer = sealing.close_index(bytes(self._footer), envelope.bound_key(key) + head)
        digest = digests.of_pack(envelope.bound_key(key), head, footer, count)
        return [head, *(blob.payload for blob in self._blobs), footer, count, digest, sealing.sign(b"pack", digest)]


def size_of(stored: Rows, extra: int) -> int:
    """How large the whole object is that holds these rows; ``extra`` is ``Sealing.pack_extra``."""
    blobs = int(stored["encoded"].sum(dtype=int))
    return envelope.HEADER.size + blobs + stored.size * STORED.itemsize + TRAILER_SIZE + extra


def largest(stored: Rows, ends: Sequence[int], extra: int) -> int:
    """How large the largest is of packs that hold these rows one after the other. ``ends``: 0, and where each ends."""
    blobs = np.concatenate(([0], stored["encoded"].cumsum(dtype=np.int64)))[ends]
    sizes = np.diff(blobs) + np.diff(ends) * STORED.itemsize
    return envelope.HEADER.size + int(sizes.max(initial=0)) + TRAILER_SIZE + extra


def read_footer(target: Target, digests: Digests, key: str, size: int, count: int | None = None) -> tuple[Rows, Signer]:
    """The rows of the pack ``key``, which has ``size`` bytes, and, it is said, so many rows; and who stands for them.
    Raises ``Damaged``, and what the target raises.
    """
    trailer = TRAILER_SIZE + digests.sealing.signature
    if not envelope.HEADER.size + trailer <= size <= LARGEST_PACK:
        raise Damaged(f"no pack has {size} bytes", subject=key)
    guess = min(size, _FOOTER_GUESS if count is None else _footer_size(count, digests.sealing))
    tail = target.get_range(key, size - guess, guess)
    needed = _footer_size(_COUNT.unpack_from(tail, len(tail) - trailer)[0], digests.sealing)
    if needed > size - envelope.HEADER.size:
        raise Damaged("its trailer claims more rows than it has room for", subject=key)
    if needed > len(tail):
        tail = target.get_range(key, size - needed, needed)
    # What the header must have been is known, and the digest tells whether it was.
    head = _header(size - envelope.HEADER.size - envelope.DIGEST_SIZE - digests.sealing.signature, digests.sealing)
    return _checked(digests, key, size, head, memoryview(tail)[len(tail) - needed :])


def _header(length: int, sealing: Sealing) -> bytes:
    return envelope.header(ObjectKind.PACK, length, sealing.flags)


def _footer_size(count: int, sealing: Sealing) -> int:
    return count * STORED.itemsize + TRAILER_SIZE + sealing.pack_extra


def _checked(digests: Digests, key: str, size: int, head: bytes, footer: memoryview) -> tuple[Rows, Signer]:
    end = len(footer) - envelope.DIGEST_SIZE - digests.sealing.signature
    signed, digest = footer[:end], bytes(footer[end : end + envelope.DIGEST_SIZE])
    if not hmac.compare_digest(digests.of_pack(envelope.bound_key(key), head, signed), digest):
        raise Damaged("its rows are not what their digest says", subject=key)
    try:
        signer = digests.sealing.signer(b"pack", digest, bytes(footer[end + envelope.DIGEST_SIZE :]))
        plain = digests.sealing.open_index(bytes(signed[: -_COUNT.size]), envelope.bound_key(key) + head)
    except Damaged as damage:
        raise Damaged(damage.message, subject=key) from damage
    stored = rows.parse(plain)
    if stored is None or size_of(stored, digests.sealing.pack_extra) != size:
        raise Damaged("its rows do not fit its size", subject=key)
    return stored, signer


def check_content(digests: Digests, codecs: Codecs, stored: Rows, data: bytes) -> list[int]:
    """The places of rows whose blob is not the one that its id names: what a writer may have lied about. ``data`` is
    the whole pack, which has these rows.
    """
    bad, at = [], envelope.HEADER.size
    for place, row in enumerate(stored):
        end = at + int(row["encoded"])
        room = memoryview(bytearray(int(row["plain"])))
        try:
            codecs.decode_into(int(row["codec"]), digests.sealing.open_data(data[at:end], row.tobytes()[:-16]), room)
            right = digests.blob_id(BlobKind(int(row["kind"])), room) == row["id"].tobytes()
        except (Damaged, ValueError):
            right = False
        if not right:
            bad.append(place)
        at = end
    return bad


def check_whole(digests: Digests, key: str, data: bytes) -> tuple[Rows, list[int]]:
    """The rows of a pack that was read whole, and the places of those whose blob is not what its digest says.

    Raises ``Damaged`` (or ``FormatTooNew``) if the rows themselves cannot be trusted.
    """
    kind, flags, length = envelope.check_header(data, key)
    view, behind = memoryview(data), envelope.DIGEST_SIZE + digests.sealing.signature
    if kind != ObjectKind.PACK or flags != digests.sealing.flags:
        raise Damaged("it is no pack of this repository", subject=key)
    if envelope.HEADER.size + length + behind != len(data):
        raise Damaged(f"it is not the pack of {len(data)} bytes that it should be", subject=key)
    if length < _COUNT.size:
        raise Damaged("it has no trailer", subject=key)
    count = _COUNT.unpack_from(data, len(data) - TRAILER_SIZE - digests.sealing.signature)[0]
    start = len(data) - _footer_size(count, digests.sealing)
    if start < envelope.HEADER.size:
        raise Damaged("its trailer claims more rows than it has room for", subject=key)
    stored, _ = _checked(digests, key, len(data), data[: envelope.HEADER.size], view[start:])
    bad, at = [], envelope.HEADER.size
    for place, row in enumerate(stored):
        end = at + int(row["encoded"])
        if digests.of_blob(row.tobytes()[:-16], view[at:end]) != bytes(row["digest"]):
            bad.append(place)
        at = end
    return stored, bad
