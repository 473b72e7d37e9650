"""The commit key of a writer: decided once, for an image or for a void."""

from __future__ import annotations

from typing import Final

from holdstill.errors import Damaged, Fenced, ObjectMissing, TargetError
from holdstill.model.buffers import Buffer
from holdstill.model.image import Image
from holdstill.repository import records
from holdstill.repository.digests import Digests
from holdstill.repository.presence import is_there
from holdstill.repository.records import Record, Upkeep, Void
from holdstill.spi.target import Target

#: how often a commit without a reply is sent
_SENDS: Final = 4


def state(target: Target, digests: Digests, key: str) -> Record | None:
    """What stands at a commit key; None while nothing does. Raises ``Damaged`` or ``FormatTooNew``."""
    try:
        return records.unseal(digests, key, target.get(key))
    except ObjectMissing:
        return None


def commit(target: Target, digests: Digests, key: str, record: Image | Upkeep, *, exclusive: bool) -> None:
    """Make the image exist, or name what upkeep stored.

    Raises ``Fenced`` if the number was voided, ``TargetError`` while it is undecided, and ``Damaged`` before anything
    is stored if the record could not be read back: that would be an image in name only.
    """
    parts = records.seal(digests, key, record)
    if not _create(target, key, parts, exclusive=exclusive):
        raise Fenced(
            f"this backup was given up by somebody else: {_why(target, digests, key)}",
            subject=key,
            next_step="Begin again; what was stored is reused.",
        )


def void(target: Target, digests: Digests, key: str, record: Void, *, exclusive: bool) -> bool:
    """Decide an undecided number for void. False: it was decided already."""
    return _create(target, key, records.seal(digests, key, record), exclusive=exclusive)


def forget(target: Target, digests: Digests, key: str, record: Void) -> None:
    """Put a void over an image. It may be done twice."""
    target.put(key, records.seal(digests, key, record))


def _create(target: Target, key: str, parts: list[Buffer], *, exclusive: bool) -> bool:
    """Are these bytes at ``key`` now? A lost reply, ours or an adapter's, is resolved by looking."""
    for left in reversed(range(_SENDS)):
        try:
            if exclusive:
                if target.put_if_absent(key, parts):
                    return True
            elif not is_there(target, key):
                target.put(key, parts)
                return True
        except TargetError:
            if left == 0:
                raise
        try:
            return target.get(key) == b"".join(parts)
        except ObjectMissing:
            continue
    return False


def _why(target: Target, digests: Digests, key: str) -> str:
    try:
        record = state(target, digests, key)
    except Damaged:
        record = None
    return f"{record.why} ({record.who})" if isinstance(record, Void) else "another process used its number"
