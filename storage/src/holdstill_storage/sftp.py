"""A target behind SFTP: hidden file, sync, then a rename that replaces or a link that never does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

import asyncssh
import attrs
from asyncssh import SFTPClient

from holdstill.errors import TargetError, TargetUnfit
from holdstill.model.buffers import Buffer
from holdstill.spi.target import KEY, Durability, Listed, Target, TargetProperties, check_key, check_prefix
from holdstill_storage import sftp_errors, sftp_place
from holdstill_storage import sftp_steps as steps
from holdstill_storage.errors import ends_early, missing
from holdstill_storage.files import ABANDONED, HIDDEN, hidden_name
from holdstill_storage.loop import run
from holdstill_storage.patience import Patience
from holdstill_storage.sftp_line import Line
from holdstill_storage.urls import Place

Answer = TypeVar("Answer")

_PROPERTIES: Final = TargetProperties(
    durability=Durability.POWER, put_if_absent=True, fresh_listings=True, connections=4
)


class SftpTarget(Target):
    """Objects as files below a folder of another host.

    Needs three things that OpenSSH's server has beyond the standard (PROTOCOL in its source): ``posix-rename``, which
    replaces, without which nothing can be put whole; ``hardlink``, which never replaces, else there is one writer at a
    time; ``fsync``, also of folders, else what is acknowledged survives the end of processes only.
    """

    def __init__(self, place: Place, patience: Patience) -> None:
        self.place = sftp_place.parse(place)
        self.url = self.place.url
        self.properties = _PROPERTIES
        self._patience = patience
        self._line = Line(self.place)
        self._durable_folders: set[str] = set()
        self._swept = False

    def __repr__(self) -> str:
        return f"SftpTarget({self.url!r})"

    # --- writing --------------------------------------------------------------------------------

    def put(self, key: str, parts: Sequence[Buffer]) -> None:
        """Write a hidden file beside the object's place, and rename it."""
        self._store(key, parts, steps.rename)

    def put_if_absent(self, key: str, parts: Sequence[Buffer]) -> bool:
        """Write a hidden file beside the object's place, and link it there. Raises ``TargetUnfit`` if ``prepare`` found
        that the server has no links.
        """
        if not self.properties.put_if_absent:
            raise TargetUnfit(
                "this SFTP server has no hard links: creates there are not exclusive",
                subject=self.url,
                next_step="use the repository from one writer at a time",
            )
        return self._store(key, parts, steps.link)

    def _store(
        self, key: str, parts: Sequence[Buffer], name_it: Callable[[SFTPClient, str, str], Awaitable[bool]]
    ) -> bool:
        path = self._path(key)
        folder = path.rpartition("/")[0]
        whole = b"".join(parts)

        async def store(session: SFTPClient) -> bool:
            await self._ensure(session, folder)
            hidden = f"{folder}/{hidden_name()}"
            try:
                now = await steps.write(session, hidden, whole)
                await self._sweep_once(session, now)
                stored = await name_it(session, hidden, path)
            except asyncssh.SFTPError:
                with suppress(asyncssh.Error):
                    await session.remove(hidden)
                raise
            # Also when somebody was first: what we call taken must stay taken after a loss of power.
            await steps.sync_folder_where_possible(session, folder)
            return stored

        return self._do(key, f"storing {len(whole)} bytes", store, len(whole), sftp_errors.not_stored)

    async def _ensure(self, session: SFTPClient, folder: str) -> None:
        """Make the key's folders below ours; once for each folder, since somebody else may just have made them."""
        if folder == self.place.folder or folder in self._durable_folders:
            return
        above = folder.rpartition("/")[0]
        await self._ensure(session, above)
        await steps.make_folder(session, folder)
        await steps.sync_folder_where_possible(session, above)
        self._durable_folders.add(folder)

    async def _sweep_once(self, session: SFTPClient, now: float) -> None:
        """Before the first write, remove what killed writers left. ``now``: the server's own time."""
        due, self._swept = not self._swept, True
        if due:
            with suppress(asyncssh.Error, OSError):
                await self._sweep(session, self.place.folder, now)

    async def _sweep(self, session: SFTPClient, folder: str, now: float) -> None:
        for entry in await session.readdir(folder):
            name, facts = str(entry.filename), entry.attrs
            if steps.is_folder(facts) and KEY.fullmatch(name):
                await self._sweep(session, f"{folder}/{name}", now)
            elif name.startswith(HIDDEN) and (facts.mtime or now) < now - ABANDONED:
                await session.remove(f"{folder}/{name}")

    # --- reading --------------------------------------------------------------------------------

    def get(self, key: str) -> bytes:
        """The whole file."""
        path = self._path(key)
        return self._do(key, "reading", lambda session: steps.read(session, path, 0, None), self.properties.largest)

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """A part of the file, exactly."""
        if offset < 0 or length < 0:
            raise ValueError(f"no such range: offset {offset}, length {length}")
        path = self._path(key)
        found = self._do(key, "reading", lambda session: steps.read(session, path, offset, length), length)
        if len(found) < length or not length:
            if offset + length > (size := self.size(key)):
                raise ends_early(self._subject(key), size, offset + length)
            if len(found) < length:
                raise TargetError(f"{len(found)} bytes came, not {length}", subject=self._subject(key), retryable=True)
        return found

    def size(self, key: str) -> int:
        """The file's size."""
        path = self._path(key)
        facts = self._do(key, "asking for the size", lambda session: session.stat(path))
        if not steps.is_file(facts):
            raise missing(self._subject(key))
        return facts.size or 0

    def list(self, prefix: str) -> Iterator[Listed]:
        """The regular files under the folder whose names are keys, folder by folder."""
        return self._listed(check_prefix(prefix).rstrip("/"))

    def _listed(self, below: str) -> Iterator[Listed]:
        waiting = [below]
        while waiting:
            folder = waiting.pop()
            for entry in self._entries(folder):
                name = str(entry.filename)
                key = f"{folder}/{name}" if folder else name
                if KEY.fullmatch(key) and steps.is_file(entry.attrs):
                    yield Listed(key, -1 if entry.attrs.size is None else entry.attrs.size)
                elif KEY.fullmatch(key) and steps.is_folder(entry.attrs):
                    waiting.append(key)

    def _entries(self, folder: str) -> Sequence[asyncssh.SFTPName]:
        path = f"{self.place.folder}/{folder}" if folder else self.place.folder

        async def read(session: SFTPClient) -> Sequence[asyncssh.SFTPName]:
            try:
                return await session.readdir(path)
            except sftp_errors.MISSING:
                return ()

        return self._patience.persist(lambda: self._do(folder, "listing", read))

    # --- the rest -------------------------------------------------------------------------------

    def delete(self, key: str) -> None:
        """Remove the file. It may come back after a loss of power; the protocol allows for that."""
        path = self._path(key)

        async def delete(session: SFTPClient) -> None:
            with suppress(*sftp_errors.MISSING):
                try:
                    await session.remove(path)
                except asyncssh.SFTPFailure:
                    if not steps.is_folder(await session.lstat(path)):
                        raise

        self._do(key, "deleting", delete)

    def prepare(self) -> None:
        """Make the folder, and those above it that are missing, and try what the server can do."""
        self.properties = self._do("", "trying what the server can do", self._tried)

    async def _tried(self, session: SFTPClient) -> TargetProperties:
        parts = self.place.folder.split("/")
        for count in range(1, len(parts) + 1):
            if folder := "/".join(parts[:count]):
                await steps.make_folder(session, folder)
        one, other = (f"{self.place.folder}/{hidden_name()}" for _ in range(2))
        await steps.write(session, one, b"one")
        synced = await steps.can(steps.sync_folder(session, self.place.folder))
        linked = await steps.can(session.link(one, other)) and not await steps.can(session.link(one, other))
        try:
            await session.posix_rename(one, other)
        finally:
            for path in (one, other):
                with suppress(asyncssh.Error):
                    await session.remove(path)
        durability = Durability.POWER if synced else Durability.CRASH
        return attrs.evolve(_PROPERTIES, put_if_absent=linked, durability=durability)

    def close(self) -> None:
        """End the connection."""
        run(self._line.close, self._patience.limit)

    def _do(
        self,
        key: str,
        doing: str,
        work: Callable[[SFTPClient], Coroutine[Any, Any, Answer]],
        size: int = 0,
        told: Callable[[Exception, str, str], TargetError] = sftp_errors.in_our_words,
    ) -> Answer:
        """``work`` with a session of its own. Lets only the engine's own errors out."""

        async def with_session() -> Answer:
            async with self._line.session() as session:
                return await work(session)

        limit = self._patience.limit_for(size)
        try:
            return run(lambda: self._line.within(limit, with_session()), limit + self._patience.limit)
        except TargetError:
            raise
        except (asyncssh.Error, OSError) as error:
            raise told(error, self._subject(key), doing) from None

    def _path(self, key: str) -> str:
        return f"{self.place.folder}/{check_key(key)}"

    def _subject(self, key: str) -> str:
        return f"{self.url}: {key}" if key else self.url
