"""A line to a server on loopback that breaks as told: before a request, in it, before its answer or in it."""

from __future__ import annotations

import contextlib
import enum
import socket
import threading
from collections.abc import Iterator

import attrs


class Break(enum.StrEnum):
    """What becomes of the line at a request."""

    LOST_REQUEST = "lost-request"
    """Nothing arrives; the line is cut."""
    TORN_REQUEST = "torn-request"
    """Half of its first piece arrives; the line is cut."""
    LOST_REPLY = "lost-reply"
    """It arrives; the line is cut when the answer comes."""
    TORN_REPLY = "torn-reply"
    """Half of the first piece of the answer comes; then the line is cut."""
    SILENCE = "silence"
    """Nothing arrives, and nobody says so."""
    LATE = "late"
    """It arrives; the answer does not, and nobody says so."""


@attrs.define
class BrokenLine:
    """Listens on ``port`` and passes everything on. Counts requests: what a client says after the server has spoken."""

    port: int
    _breaks: dict[int, Break]
    requests: int = 0
    broken: int = 0
    _lock: threading.Lock = attrs.field(factory=threading.Lock)
    _open: list[socket.socket] = attrs.field(factory=list)

    def plan(self, breaks: dict[int, Break]) -> None:
        """Count from the next request on, which is 1, and break at these."""
        with self._lock:
            self._breaks, self.requests, self.broken = dict(breaks), 0, 0

    def _next(self) -> Break | None:
        with self._lock:
            self.requests += 1
            found = self._breaks.get(self.requests)
            self.broken += found is not None
            return found

    def _serve(self, listening: socket.socket, server_port: int) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listening.accept()
                server = socket.create_connection(("127.0.0.1", server_port))
                self._open += [client, server]
                pair = _Pair(self, client, server)
                for pump in (pair.forth, pair.back):
                    threading.Thread(target=pump, name="holdstill-line", daemon=True).start()


@attrs.define
class _Pair:
    """One connection, its two directions each in a thread."""

    _line: BrokenLine
    _client: socket.socket
    _server: socket.socket
    _answered: bool = True
    _plan: Break | None = None

    def forth(self) -> None:
        """What the client says."""
        with contextlib.suppress(OSError):
            while piece := self._client.recv(1 << 16):
                if self._answered:
                    self._answered = False
                    self._plan = self._line._next()  # two halves of one thing
                match self._plan:
                    case Break.LOST_REQUEST:
                        break
                    case Break.TORN_REQUEST:
                        self._server.sendall(piece[: len(piece) // 2])
                        break
                    case Break.SILENCE:
                        continue
                self._server.sendall(piece)
        self._cut()

    def back(self) -> None:
        """What the server answers."""
        with contextlib.suppress(OSError):
            while piece := self._server.recv(1 << 16):
                match self._plan:
                    case Break.LOST_REPLY:
                        break
                    case Break.TORN_REPLY:
                        self._client.sendall(piece[: len(piece) // 2])
                        break
                    case Break.LATE | Break.SILENCE:
                        continue
                self._answered = True
                self._client.sendall(piece)
            else:
                if self._plan in {Break.LATE, Break.SILENCE}:
                    return  # the server went; the client is not told
        self._cut()

    def _cut(self) -> None:
        for end in (self._client, self._server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def broken_line(server_port: int) -> Iterator[BrokenLine]:
    """A line to that port of this host. It breaks nowhere until it is told."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        line = BrokenLine(listening.getsockname()[1], {})
        thread = threading.Thread(target=line._serve, args=(listening, server_port), daemon=True)
        thread.start()
        try:
            yield line
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()
            for end in line._open:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()
