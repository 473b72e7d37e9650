"""An index segment: the complete rows of some packs, so that a reader need not ask each pack."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Final

from holdstill.errors import Damaged
from holdstill.model.buffers import Buffer
from holdstill.repository import envelope, layout, packs, rows
from holdstill.repository.digests import Digests
from holdstill.repository.layout import LARGEST_PACK, ObjectKind
from holdstill.repository.rows import STORED, Rows
from holdstill.repository.sealing import Signer

#: the pack's writer, the pack's random, number of rows
_PACK: Final = struct.Struct("<Q16sI")
_LARGEST_NUMBER: Final = 9_999_999_999


def seal(digests: Digests, key: str, packs_rows: Iterable[tuple[str, Rows]]) -> list[Buffer]:
    """The parts of the segment ``key`` that names these packs, each with all its rows."""
    body = bytearray()
    for pack, stored in packs_rows:
        split = layout.split_pack_key(pack)
        assert split is not None
        number, random = split
        body += _PACK.pack(number, bytes.fromhex(random), stored.size) + stored.tobytes()
    return envelope.seal(digests, ObjectKind.SEGMENT, key, body)


def unseal(digests: Digests, key: str, data: bytes) -> Iterator[tuple[str, Rows]]:
    """Each pack that the segment names, with its rows. Raises ``Damaged``, before the first or at a wrong one."""
    return opened(digests, key, data)[1]


def opened(digests: Digests, key: str, data: bytes) -> tuple[Signer, Iterator[tuple[str, Rows]]]:
    """The same, and who stands for the segment."""
    _, body, signer = envelope.unsealed(digests, data, key, ObjectKind.SEGMENT)
    return signer, _named(digests, key, body)


def _named(digests: Digests, key: str, body: bytes) -> Iterator[tuple[str, Rows]]:
    at = 0
    while at < len(body):
        if len(body) - at < _PACK.size:
            raise Damaged("it ends within the name of a pack", subject=key)
        number, random, count = _PACK.unpack_from(body, at)
        at += _PACK.size
        end = at + count * STORED.itemsize
        stored = rows.parse(memoryview(body)[at:end]) if end <= len(body) and number <= _LARGEST_NUMBER else None
        if stored is None or packs.size_of(stored, digests.sealing.pack_extra) > LARGEST_PACK:
            raise Damaged("its rows cannot be those of a pack", subject=key)
        yield layout.pack_key(number, random.hex()), stored
        at = end
