"""Rolls: copies of 64 entries of the ledger in one object, so that a host that is new reads it in fewer requests.

A roll holds the entries as they are stored, each under its own digest: it is a pure function of the ledger, anybody may
write it at any time after the last of its entries was there, and it is found by getting it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final

from holdstill.errors import Damaged, FormatTooNew, ObjectMissing, TargetError
from holdstill.repository import envelope, layout
from holdstill.repository.digests import Digests
from holdstill.repository.layout import ROLLS, ObjectKind
from holdstill.spi.target import Target

#: entries of a roll
ROLL: Final = 64
_LENGTH: Final = struct.Struct("<I")


def place_of(number: int) -> int:
    """The place of the roll that is to hold the entry ``number``."""
    return (number - 1) // ROLL + 1


def read(target: Target, digests: Digests, place: int) -> list[tuple[str, bytes]]:
    """Keys and bytes of its entries, ``ROLL`` of them. Raises ``ObjectMissing``, ``Damaged`` and ``FormatTooNew``."""
    key = layout.roll_key(place)
    _, body, _ = envelope.unsealed(digests, target.get(key), key, ObjectKind.ROLL)
    entries = list(_parts(body, key))
    if len(entries) != ROLL:
        raise Damaged(f"it holds {len(entries)} entries, not {ROLL}", subject=key)
    first = ROLL * (place - 1) + 1
    return [(layout.ledger_key(number), entry) for number, entry in enumerate(entries, first)]


def write(target: Target, digests: Digests, place: int, entries: Sequence[bytes], *, exclusive: bool) -> None:
    """Best effort: what is not written now is written by whoever misses it."""
    key = layout.roll_key(place)
    body = b"".join(_LENGTH.pack(len(entry)) + entry for entry in entries)
    parts = envelope.seal(digests, ObjectKind.ROLL, key, body)
    with suppress(TargetError):
        if exclusive:
            target.put_if_absent(key, parts)
        else:
            target.put(key, parts)


def damaged(target: Target, digests: Digests) -> Iterator[Damaged | FormatTooNew]:
    """What is wrong with those that a listing shows: each of their entries must be the ledger's."""
    for listed in target.list(ROLLS):
        if (place := layout.split_roll_key(listed.key)) is not None:
            try:
                entries = read(target, digests, place)
                if any(target.get(key) != entry for key, entry in entries):
                    yield Damaged("its entries are not those of the ledger", subject=listed.key)
            except ObjectMissing as missing:
                yield Damaged(f"the ledger does not hold what it holds: {missing.message}", subject=listed.key)
            except (Damaged, FormatTooNew) as damage:
                yield damage


def _parts(body: bytes, key: str) -> Iterator[bytes]:
    at = 0
    while at < len(body):
        start = at + _LENGTH.size
        at = start + (_LENGTH.unpack_from(body, at)[0] if start <= len(body) else len(body))
        if at > len(body):
            raise Damaged("it ends within an entry", subject=key)
        yield body[start:at]
