"""Buffers that are made once and used again, aligned as direct reads want them."""

from __future__ import annotations

import mmap
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class BufferPool:
    """Page-aligned buffers of one size. Never holds more than were once in use together."""

    def __init__(self, size: int) -> None:
        """For buffers of ``size`` bytes."""
        self.size = size
        self._free: list[mmap.mmap] = []
        self._lock = threading.Lock()

    @contextmanager
    def lend(self) -> Iterator[memoryview]:
        """A buffer with old content in it, until the block ends."""
        with self._lock:
            buffer = self._free.pop() if self._free else None
        if buffer is None:
            buffer = mmap.mmap(-1, self.size)
        try:
            yield memoryview(buffer)
        finally:
            with self._lock:
                self._free.append(buffer)
