"""What lies behind a file system that is smaller than its volume. Its own bitmaps say nothing of that."""

from __future__ import annotations

from typing import Final

from holdstill.model.extents import Extents
from holdstill.spi.reader import Reader

#: what lies behind the file system is taken along up to here, bytes
_SHORT: Final = 64 << 20
#: where somebody else's metadata would lie: at the very end of the volume, bytes
_LAST: Final = 1 << 20


def behind(reader: Reader, end: int, notes: list[str]) -> Extents:
    """What to take of the bytes from ``end`` to the end of the volume; what was decided is added to ``notes``."""
    length = reader.size - end
    if not length:
        return Extents.none()
    if length > _SHORT and not any(reader.read(reader.size - _LAST, _LAST)):
        notes.append(f"the last {length} bytes of the volume lie behind the file system and were left out")
        return Extents.none()
    notes.append(f"the last {length} bytes of the volume lie behind the file system and were taken as they are")
    return Extents.of((end, length))
