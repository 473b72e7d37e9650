"""What lies behind a file system that is smaller than its volume. Its own bitmaps say nothing of that."""

from __future__ import annotations

from typing import Final

from holdstill.model.extents import Extents
from holdstill.spi.reader import Reader

#: what lies behind the file system is taken along up to here, bytes
_SHORT: Final = 64 << 20
#: where somebody else's metadata would lie: at the very end of the volume (arrays, DRBD), or right behind the file
#: system (the hashes of dm-verity), bytes
_EDGE: Final = 1 << 20


def behind(reader: Reader, end: int, notes: list[str]) -> Extents:
    """What to take of the bytes from ``end`` to the end of the volume; what was decided is added to ``notes``."""
    length = reader.size - end
    if not length:
        return Extents.none()
    edges = (end, reader.size - _EDGE)
    if length > _SHORT and not any(any(reader.read(at, _EDGE)) for at in edges):
        notes.append(f"the last {length} bytes of the volume lie behind the file system and were left out")
        return Extents.none()
    notes.append(f"the last {length} bytes of the volume lie behind the file system and were taken as they are")
    return Extents.of((end, length))
