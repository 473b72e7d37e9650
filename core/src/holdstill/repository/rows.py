"""A row of a pack's footer: what a blob is, how it is encoded, how long it is. Offsets are implied."""

from __future__ import annotations

import struct
from typing import Any, Final

import attrs
import numpy as np
from numpy.typing import NDArray

from holdstill.model.buffers import Buffer
from holdstill.repository.codecs import Codec
from holdstill.repository.digests import Digests
from holdstill.repository.layout import ID_SIZE, LARGEST_BLOB, BlobKind

Rows = NDArray[np.void]

#: a row as it is stored, 58 bytes, nothing between the fields
STORED: Final = np.dtype(
    [("id", "V32"), ("kind", "u1"), ("codec", "u1"), ("plain", "<u4"), ("encoded", "<u4"), ("digest", "V16")]
)
#: what a blob's digest takes in before the encoded bytes: the row without its digest
_HEAD: Final = struct.Struct("<32sBBII")


@attrs.frozen(slots=True)
class Encoded:
    """A blob that is ready to be stored. Sizes in bytes."""

    kind: BlobKind
    id: bytes
    codec: Codec
    plain_length: int
    payload: bytes = attrs.field(repr=False)
    digest: bytes

    @property
    def size(self) -> int:
        """How much of a pack it takes, without its row."""
        return len(self.payload)

    @property
    def row(self) -> bytes:
        """Its row, as stored."""
        return head(self.id, self.kind, self.codec, self.plain_length, self.size) + self.digest


def encoded_blob(
    digests: Digests, kind: BlobKind, blob_id: bytes, plain_length: int, tagged: tuple[Codec, bytes]
) -> Encoded:
    """A blob, sealed where the repository is, with its digest made."""
    codec, encoded = tagged
    bound = head(blob_id, kind, codec, plain_length, len(encoded) + digests.sealing.data_box)
    payload = digests.sealing.close_data(encoded, bound)
    return Encoded(kind, blob_id, codec, plain_length, payload, digests.of_blob(bound, payload))


def head(blob_id: bytes, kind: int, codec: int, plain: int, encoded: int) -> bytes:
    """The first 42 bytes of a row."""
    return _HEAD.pack(blob_id, kind, codec, plain, encoded)


def parse(data: Buffer) -> Rows | None:
    """The rows in ``data``, or None if they cannot be rows of packs (sizes, a stored zero id)."""
    if len(data) % STORED.itemsize:
        return None
    rows = np.frombuffer(data, dtype=STORED)
    if rows.size == 0:
        return rows
    sane = (
        int(rows["plain"].max()) <= LARGEST_BLOB
        and int(rows["encoded"].max()) <= LARGEST_BLOB
        and bool(as_words(rows["id"]).any(axis=1).all())
    )
    return rows if sane else None


def as_words(ids: NDArray[Any]) -> NDArray[np.uint64]:
    """Ids as rows of four big-endian words, in machine order: something that numpy compares and sorts."""
    words = np.ascontiguousarray(ids).view(">u8").reshape(-1, ID_SIZE // 8)
    return words.astype(np.uint64)


def ends(rows: Rows) -> NDArray[np.int64]:
    """Where each blob ends, counted from the end of the pack's header."""
    return np.cumsum(rows["encoded"], dtype=np.int64)
