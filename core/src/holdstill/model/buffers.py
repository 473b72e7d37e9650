"""The names of what holds bytes."""

from __future__ import annotations

from typing import TypeAlias

#: bytes to look at
Buffer: TypeAlias = bytes | bytearray | memoryview
#: bytes to fill
Room: TypeAlias = bytearray | memoryview
