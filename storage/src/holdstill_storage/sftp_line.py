"""The SSH connection behind an SFTP target: made when needed and when it broke, its sessions lent one by one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

import asyncssh

from holdstill_storage import sftp_errors, sftp_place
from holdstill_storage.sftp_errors import LINE
from holdstill_storage.sftp_place import SftpPlace

#: an idle line that does not answer so often, at such a distance (seconds), is dead
_KEEPALIVE: Final = (15.0, 4)
#: seconds that a call has to end once its connection is cut
_FAREWELL: Final = 1.0

Answer = TypeVar("Answer")


class Line:
    """One connection, and as many SFTP sessions on it as there are callers at once: a session does one thing at a time.

    Used on one event loop only, which is all the locking it needs but for one lock while it connects.
    """

    def __init__(self, place: SftpPlace) -> None:
        self._place = place
        self._connection: asyncssh.SSHClientConnection | None = None
        self._idle: list[asyncssh.SFTPClient] = []
        self._connecting = asyncio.Lock()

    async def within(self, limit: float, work: Coroutine[Any, Any, Answer]) -> Answer:
        """What ``work`` comes to. Raises ``TimeoutError`` after ``limit`` seconds.

        The connection is cut first: whoever is only cancelled closes its files in good order, over a line that is dead.
        """
        task = asyncio.ensure_future(work)
        await asyncio.wait({task}, timeout=limit)
        if not task.done():
            if self._connection is not None:
                self._give_up(self._connection)
            task.cancel()
            await asyncio.wait({task}, timeout=_FAREWELL)
            raise TimeoutError
        return task.result()

    @asynccontextmanager
    async def session(self) -> AsyncIterator[asyncssh.SFTPClient]:
        """A session of our own. After a failure of the line, or a call that was given up, the connection is not used
        again: its other users fail too, and ask again.
        """
        connection, session = await self._connected(), None
        try:
            session = self._idle.pop() if self._idle else await connection.start_sftp_client()
            yield session
        except (*LINE, asyncio.CancelledError):
            self._give_up(connection)
            raise
        finally:
            if session is not None and connection is self._connection:
                self._idle.append(session)

    async def _connected(self) -> asyncssh.SSHClientConnection:
        async with self._connecting:
            if self._connection is not None and self._connection.is_closed():
                self._give_up(self._connection)
            if self._connection is None:
                self._connection = await self._connect()
            return self._connection

    async def _connect(self) -> asyncssh.SSHClientConnection:
        place = self._place
        interval, count = _KEEPALIVE
        more = {"username": place.user} if place.user else {}
        keys = {"client_keys": sftp_place.key_of(place)} if place.identity else {}
        try:
            return await asyncssh.connect(
                place.host,
                place.port or (),
                known_hosts=list(place.known_hosts),
                keepalive_interval=interval,
                keepalive_count_max=count,
                **more,
                **keys,
            )
        except ValueError as error:
            raise sftp_errors.misunderstood(error, place.url) from None

    def _give_up(self, connection: asyncssh.SSHClientConnection) -> None:
        if connection is self._connection:
            self._connection, self._idle = None, []
        connection.abort()

    async def close(self) -> None:
        """End the connection."""
        if (connection := self._connection) is not None:
            self._connection, self._idle = None, []
            connection.close()
            await connection.wait_closed()
