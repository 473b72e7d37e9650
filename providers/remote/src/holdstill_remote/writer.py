"""Writing a device of another machine with its ``dd``."""

from __future__ import annotations

import secrets
import threading
from typing import Final

from holdstill.errors import WriteFault
from holdstill.model.buffers import Buffer
from holdstill.spi.reader import Reader
from holdstill.spi.runner import Flow, Runner
from holdstill.spi.writer import Writer
from holdstill_remote.connection import LIMIT, Connection
from holdstill_remote.dd import Dd, pieces
from holdstill_remote.lanes import MOST, Lanes
from holdstill_remote.programs import SshRunner
from holdstill_remote.quoting import bourne
from holdstill_remote.reader import SshReader

#: so much is zeroed by one command, bytes: between two of them one may give up
_ZEROED: Final = 256 << 20


class SshWriter(Writer):
    """Each write is a ``dd`` of its own, whose input ends where the data does: only so does a pipe lose nothing.

    A write counts when the other machine has said how it ended. A connection that ends before is ``MachineLost``.
    """

    zero_grain = 1 << 20

    def __init__(self, connection: Connection, local: Runner, dd: Dd, device: str, size: int) -> None:
        """Raises ``VolumeError`` and its kinds, also where the device does not end after ``size`` bytes."""
        self.size = size
        self._connection = connection
        self._local = local
        self._dd = dd
        self._device = device
        self._subject = connection.url + device
        self._runner = SshRunner(connection, "writing", local)
        dd.opened(self._runner, device, size, self._subject)
        self._lanes = Lanes(connection, local)
        self._turns = threading.BoundedSemaphore(MOST)
        self._lost: WriteFault | None = None
        self._closed = False

    def write(self, offset: int, buffer: Buffer) -> None:
        """See ``Writer``. Raises ``WriteFault``, ``MachineError`` and its kinds."""
        content = memoryview(buffer).cast("B")
        self._check(offset, len(content))
        if not content:
            return
        with self._turns:
            self._write(offset, content)

    def zero(self, offset: int, length: int) -> None:
        """Write zeros, which are made over there. Raises ``WriteFault``, ``MachineError`` and its kinds."""
        self._check(offset, length)
        with self._lanes.lend() as lane:
            for start in range(offset, offset + length, _ZEROED):
                for piece in pieces(start, min(_ZEROED, offset + length - start)):
                    lane.tell(self._dd.zeroing(self._device, piece))
                    _, code = lane.hear(memoryview(b""))
                    if code:
                        where = f"{piece.length} bytes at {piece.block * piece.first}"
                        raise self._fault(f"{where} cannot be zeroed: dd ended with {code}")

    def flush(self) -> None:
        """Raw devices have no cache, and GNU's ``dd`` has synced each write and said how that went; anything else is
        told to sync.
        """
        if self._lost is not None:
            raise self._lost
        if not self._dd.gnu:
            ran = self._runner.ask(["sync"], limit=LIMIT)
            if not ran.ok:
                raise self._fault(f"what was written may not be on stable storage: {ran.said}")

    def reader(self) -> Reader:
        """See ``Writer``."""
        self.flush()
        return SshReader(self._connection, self._local, self._dd, self._device, self.size)

    def close(self) -> None:
        """See ``Writer``."""
        self._closed = True
        self._lanes.close()

    def _write(self, offset: int, content: memoryview) -> None:
        token = secrets.token_hex(16)
        command = f"{self._dd.writing(self._device, offset, len(content))} 2>&1; echo {token} $?"
        flow = self._connection.stream(self._local, bourne(command))
        try:
            said = self._sent(flow, content)
            before, mark, code = said.rpartition(f"{token} ")
            if not mark:
                raise self._connection.lost(flow)
            if code.strip() != "0":
                raise self._fault(f"{len(content)} bytes at {offset} cannot be written: {_why(before)}")
        finally:
            flow.close()

    def _sent(self, flow: Flow, content: memoryview) -> str:
        try:
            left = content
            while left:
                left = left[flow.into.write(left) or 0 :]
            flow.into.close()
        except OSError:
            """It ended early: what it said tells why."""
        said = flow.out.read() or b""
        while more := flow.out.read():
            said += more
        return said.decode(errors="backslashreplace")

    def _check(self, offset: int, length: int) -> None:
        if self._closed:
            raise ValueError("the writer is closed")
        if offset < 0 or length < 0 or offset + length > self.size:
            raise ValueError(f"outside the volume: {length} bytes at {offset} of {self.size}")
        if offset % 512 or length % 512:
            raise ValueError(f"no whole sectors: {length} bytes at {offset}")

    def _fault(self, what: str) -> WriteFault:
        self._lost = WriteFault(what, subject=self._subject)
        return self._lost


def _why(said: str) -> str:
    """What ``dd`` said, without its counts."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return next((line for line in lines if line.startswith("dd:")), lines[-1] if lines else "dd said nothing")
