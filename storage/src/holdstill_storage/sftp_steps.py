"""Single steps on an SFTP session, each a request or a few. Raise what asyncssh raises."""

from __future__ import annotations

import stat
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, cast

import asyncssh
from asyncssh import FXF_CREAT, FXF_EXCL, FXF_READ, FXF_WRITE, SFTPAttrs, SFTPClient


async def write(session: SFTPClient, path: str, whole: bytes) -> float:
    """A new file for our own eyes, on stable storage where the server can do that. Returns the server's time."""
    async with session.open(
        path, FXF_WRITE | FXF_CREAT | FXF_EXCL, SFTPAttrs(permissions=0o600), encoding=None
    ) as file:
        await file.write(whole)
        with suppress(asyncssh.SFTPOpUnsupported):
            await file.fsync()
        return float((await file.stat()).mtime or 0)


async def read(session: SFTPClient, path: str, offset: int, length: int | None) -> bytes:
    """A part of a regular file, or all of it; fewer bytes only where it ends before."""
    async with session.open(path, FXF_READ, encoding=None) as file:
        if not is_file(await file.stat()):
            raise asyncssh.SFTPNoSuchFile("no regular file")
        return cast("bytes", await file.read(-1 if length is None else length, offset))


async def rename(session: SFTPClient, hidden: str, path: str) -> bool:
    """Let the file replace what is there."""
    await session.posix_rename(hidden, path)
    return True


async def link(session: SFTPClient, hidden: str, path: str) -> bool:
    """Let the file stand there too, unless something does; then let it go. OpenSSH says only that it failed, so that it
    is asked why.
    """
    try:
        await session.link(hidden, path)
    except asyncssh.SFTPFailure:
        await session.remove(hidden)
        await session.lstat(path)
        return False
    await session.remove(hidden)
    return True


async def make_folder(session: SFTPClient, path: str) -> None:
    """Make one folder for our own eyes, if it is not there."""
    try:
        await session.mkdir(path, SFTPAttrs(permissions=0o700))
    except asyncssh.SFTPError:
        if not is_folder(await session.stat(path)):
            raise


async def sync_folder(session: SFTPClient, path: str) -> None:
    """Make the folder's entries durable. OpenSSH's server opens folders like files, and syncs what is open."""
    async with session.open(path, FXF_READ, encoding=None) as folder:
        await folder.fsync()


async def sync_folder_where_possible(session: SFTPClient, path: str) -> None:
    """The same; a server that opens no folders was found out by ``prepare``. A sync that fails is an error."""
    try:
        folder = await session.open(path, FXF_READ, encoding=None)
    except asyncssh.SFTPError:
        return
    async with folder:
        with suppress(asyncssh.SFTPOpUnsupported):
            await folder.fsync()


async def can(step: Coroutine[Any, Any, object]) -> bool:
    """Does the server do this?"""
    try:
        await step
    except (asyncssh.SFTPFailure, asyncssh.SFTPOpUnsupported, asyncssh.SFTPPermissionDenied):
        return False
    return True


def is_file(facts: SFTPAttrs) -> bool:
    """A regular file."""
    return facts.permissions is not None and stat.S_ISREG(facts.permissions)


def is_folder(facts: SFTPAttrs) -> bool:
    """A folder, itself and no link to one."""
    return facts.permissions is not None and stat.S_ISDIR(facts.permissions)
