"""Reading a device of another machine with its ``dd``."""

from __future__ import annotations

from holdstill.errors import HoldstillError, ReadFault
from holdstill.model.buffers import Room
from holdstill.spi.reader import Reader
from holdstill.spi.runner import Runner
from holdstill_remote.connection import Connection
from holdstill_remote.dd import Dd, pieces
from holdstill_remote.lanes import Lanes
from holdstill_remote.programs import SshRunner


class SshReader(Reader):
    """Several ranges may be under way. A connection that ends is ``MachineLost`` and never a ``ReadFault``."""

    preferred_read = 4 << 20

    def __init__(self, connection: Connection, local: Runner, dd: Dd, device: str, size: int) -> None:
        """Raises ``VolumeError`` and its kinds, also where the device does not end after ``size`` bytes."""
        self.size = size
        self._device = device
        self._dd = dd
        self._subject = connection.url + device
        self._runner = SshRunner(connection, "reading", local)
        direct = dd.opened(self._runner, device, size, self._subject)
        self._direct = direct > 0
        self._unit = direct or 512
        self._lanes = Lanes(connection, local)
        self._closed = False

    def readinto(self, offset: int, buffer: Room) -> None:
        """See ``Reader``. Raises ``ReadFault``, ``MachineError`` and its kinds."""
        room = memoryview(buffer).cast("B")
        if self._closed:
            raise ValueError("the reader is closed")
        if offset < 0 or offset + len(room) > self.size:
            raise ValueError(f"outside the volume: {len(room)} bytes at {offset} of {self.size}")
        start = offset // self._unit * self._unit
        end = min(-(-(offset + len(room)) // self._unit) * self._unit, self.size)
        if (start, end) == (offset, offset + len(room)):
            self._read(offset, room)
            return
        wider = bytearray(end - start)
        self._read(start, memoryview(wider))
        room[:] = wider[offset - start : offset - start + len(room)]

    def changed(self) -> str | None:
        """Why it is not what it was, so far as its size tells."""
        try:
            self._dd.opened(self._runner, self._device, self.size, self._subject)
        except HoldstillError as error:
            return f"it cannot be told whether it changed: {error.message}"
        return None

    def close(self) -> None:
        """See ``Reader``."""
        self._closed = True
        self._lanes.close()

    def _read(self, offset: int, room: memoryview) -> None:
        """All commands are told before the first answer is waited for."""
        if not room:
            return
        parts = list(pieces(offset, len(room)))
        with self._lanes.lend() as lane:
            for piece in parts:
                lane.tell(self._dd.reading(self._device, piece, direct=self._direct))
            answers = []
            at = 0
            for piece in parts:
                answers.append(lane.hear(room[at : at + piece.length]))
                at += piece.length
        for piece, (came, code) in zip(parts, answers, strict=True):
            if code or came != piece.length:
                raise self._fault(piece.block * piece.first, piece.length, came, code)

    def _fault(self, offset: int, length: int, came: int, code: int) -> ReadFault:
        why = f"dd ended with {code}" if code else f"it gave {came} bytes"
        return ReadFault(
            f"{length} bytes at offset {offset} could not be read: {why}",
            offset=offset,
            length=length,
            subject=self._subject,
            next_step="look into that system's log; `--on-read-error zero` images the rest",
        )
