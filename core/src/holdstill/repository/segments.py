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
_NO_ROWS: Final = "its rows cannot be those of a pack"


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
    names, ends, parts = [], [0], []
    view, at = memoryview(body), 0
    while at < len(body):
        if len(body) - at < _PACK.size:
            raise Damaged("it ends within the name of a pack", subject=key)
        number, random, count = _PACK.unpack_from(body, at)
        at += _PACK.size
        end = at + count * STORED.itemsize
        if end > len(body) or number > _LARGEST_NUMBER:
            raise Damaged(_NO_ROWS, subject=key)
        names.append((number, random))
        ends.append(ends[-1] + count)
        parts.append(view[at:end])
        at = end
    together = rows.parse(b"".join(parts))
    if together is None or packs.largest(together, ends, digests.sealing.pack_extra) > LARGEST_PACK:
        raise Damaged(_NO_ROWS, subject=key)
    for (number, random), first, past in zip(names, ends, ends[1:], strict=False):
        yield layout.pack_key(number, random.hex()), together[first:past]
