"""A volume that remembers which of its bytes a restore touched."""

from __future__ import annotations

import threading

from holdstill.model.buffers import Buffer
from holdstill.model.extents import Extents
from holdstill.spi.reader import Reader
from holdstill.spi.volume import Volume
from holdstill.spi.writer import Writer


class CountedVolume(Volume):
    """Another volume, whose writers note what they are told to write and to zero."""

    def __init__(self, inner: Volume) -> None:
        self.facts = inner.facts
        self.written = Extents.none()
        self.zeroed = Extents.none()
        self._inner = inner
        self._lock = threading.Lock()

    @property
    def touched(self) -> Extents:
        """Everything that was written or zeroed."""
        return self.written.union(self.zeroed)

    def note(self, offset: int, length: int, *, zero: bool) -> None:
        """A writer was told so."""
        with self._lock:
            if zero:
                self.zeroed = self.zeroed.union(Extents.of((offset, length)))
            else:
                self.written = self.written.union(Extents.of((offset, length)))

    def open_reader(self, *, exclusive: bool) -> Reader:
        """The volume's own."""
        return self._inner.open_reader(exclusive=exclusive)

    def open_writer(self) -> Writer:
        """The volume's own, with a note of each call."""
        return _CountedWriter(self._inner.open_writer(), self)

    def carries(self, path: str) -> bool:
        """As the volume says."""
        return self._inner.carries(path)


class _CountedWriter(Writer):
    def __init__(self, inner: Writer, volume: CountedVolume) -> None:
        self.size, self.alignment, self.zero_grain = inner.size, inner.alignment, inner.zero_grain
        self._inner = inner
        self._volume = volume

    def write(self, offset: int, buffer: Buffer) -> None:
        self._volume.note(offset, memoryview(buffer).nbytes, zero=False)
        self._inner.write(offset, buffer)

    def zero(self, offset: int, length: int) -> None:
        self._volume.note(offset, length, zero=True)
        self._inner.zero(offset, length)

    def flush(self) -> None:
        self._inner.flush()

    def reader(self) -> Reader:
        return self._inner.reader()

    def close(self) -> None:
        self._inner.close()
