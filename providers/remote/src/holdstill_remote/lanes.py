"""Several shells on one machine, each busy with one command at a time: while one waits for the network others read."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from holdstill.errors import HoldstillError
from holdstill.spi.runner import Runner
from holdstill_remote.connection import Connection

#: sshd takes ten sessions of one connection (sshd_config(5), MaxSessions); some are for programs
MOST: Final = 4
#: what is said at the end of a command is not longer, bytes
_SAID: Final = 48


class Lane:
    """A ``/bin/sh`` that is told commands and says how each of them ended."""

    def __init__(self, connection: Connection, local: Runner) -> None:
        self._connection = connection
        self._token = secrets.token_hex(16).encode()
        self._flow = connection.stream(local, "/bin/sh")

    def tell(self, command: str) -> None:
        """Have it run a command after those before it. Raises ``MachineError`` and its kinds."""
        line = f"{command}; echo {self._token.decode()} $?\n"
        try:
            self._flow.into.write(line.encode(errors="surrogateescape"))
        except OSError:
            raise self._connection.lost(self._flow) from None

    def hear(self, room: memoryview) -> tuple[int, int]:
        """What the next command writes: how many bytes, at most as many as there is room for, and its exit code. A
        command that writes less is told from one that is slow by what is said at its end.
        """
        got = 0
        while got < len(room):
            came = self._read(room[got:])
            got += came
            start = max(0, got - _SAID)
            tail = bytes(room[start:got]) if room[got - 1] == 0x0A else b""
            at = tail.find(self._token)
            if at >= 0:
                return start + at, self._code(tail[at:])
        start = max(0, got - _SAID)
        tail = bytes(room[start:got]) + self._rest()
        at = tail.find(self._token)
        return min(start + at, got), self._code(tail[max(at, 0) :])

    def close(self) -> None:
        """End it."""
        self._flow.close()

    def _rest(self) -> bytes:
        """The line that is said at the end, or what is left of it."""
        said = b""
        while not said.endswith(b"\n") and len(said) <= _SAID:
            more = bytearray(1)
            self._read(memoryview(more))
            said += more
        return said

    def _code(self, said: bytes) -> int:
        token, _, code = said.strip().partition(b" ")
        if token != self._token or not code.isdigit():
            raise self._connection.lost(self._flow)
        return int(code)

    def _read(self, room: memoryview) -> int:
        came: int | None = self._flow.out.readinto(room)  # type: ignore[attr-defined]  # it is unbuffered
        if not came:
            raise self._connection.lost(self._flow)
        return came


class Lanes:
    """At most ``MOST`` of them, begun when they are needed. Several threads may ask for one."""

    def __init__(self, connection: Connection, local: Runner) -> None:
        self._connection = connection
        self._local = local
        self._free: list[Lane] = []
        self._lent = 0
        self._closed = False
        self._changed = threading.Condition()

    @contextmanager
    def lend(self) -> Iterator[Lane]:
        """One, for as long as it takes. One that was lost, or left in the middle, is not lent again. Raises ValueError
        after ``close``.
        """
        lane = self._take()
        sound = False
        try:
            yield lane
            sound = True
        finally:
            if not sound:
                lane.close()
            with self._changed:
                self._lent -= 1
                if sound and not self._closed:
                    self._free.append(lane)
                elif sound:
                    lane.close()
                self._changed.notify()

    def close(self) -> None:
        """End those that are free now, and the others when they come back."""
        with self._changed:
            self._closed = True
            free, self._free = self._free, []
        for lane in free:
            lane.close()

    def _take(self) -> Lane:
        with self._changed:
            while not self._closed and self._lent >= MOST:
                self._changed.wait()
            if self._closed:
                raise ValueError("it is closed")
            self._lent += 1
            if self._free:
                return self._free.pop()
        try:
            return Lane(self._connection, self._local)
        except HoldstillError:
            with self._changed:
                self._lent -= 1
                self._changed.notify()
            raise
