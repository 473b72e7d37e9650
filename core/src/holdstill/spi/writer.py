"""Writing a restored image onto a volume."""

from __future__ import annotations

import abc
from typing import Self

from holdstill.model.buffers import Buffer
from holdstill.spi.reader import Reader


class Writer(abc.ABC):
    """A positional writer of a fixed number of bytes, which nobody else may write meanwhile.

    Obligations: ``write`` writes all of the buffer or raises ``WriteFault``; ``zero`` makes the range read as zeros,
    by punching or
    discarding only where the platform *guarantees* zeros, else by writing them; several threads may call both, on
    disjoint ranges;
    nothing is promised to be durable before ``flush`` returns, and a failed ``flush`` is final.
    """

    size: int
    """Bytes."""
    alignment: int = 4096
    """Writes at multiples of this, from buffers so aligned, cost no extra copy."""
    zero_grain: int = 4096
    """Runs of zeros shorter than this are better written than zeroed: small for a sparse file, large for a device."""

    @abc.abstractmethod
    def write(self, offset: int, buffer: Buffer) -> None:
        """Write all of ``buffer`` at ``offset``."""

    @abc.abstractmethod
    def zero(self, offset: int, length: int) -> None:
        """Make the range read as zeros. Cheap for a sparse file or a device that can; a file stays sparse."""

    @abc.abstractmethod
    def flush(self) -> None:
        """Everything written is on stable storage when this returns."""

    @abc.abstractmethod
    def reader(self) -> Reader:
        """A reader of what is *stored*, past every cache: what the proof reads. Flush first."""

    @abc.abstractmethod
    def close(self) -> None:
        """Let go of it. May be called twice."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
