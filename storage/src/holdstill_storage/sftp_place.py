"""Where over SSH a target is: the host, the folder on it, and how the host and we are told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import asyncssh
import attrs

from holdstill.errors import TargetDenied, TargetUnfit
from holdstill_storage.urls import Place, options_of, with_options

_OPTIONS: Final = frozenset({"identity", "known_hosts"})
#: where ssh(1) looks for the keys of hosts
_KNOWN: Final = ("~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts")


@attrs.frozen
class SftpPlace:
    """``sftp://USER@HOST:PORT/FOLDER?identity=FILE&known_hosts=FILE``. Nothing in it is secret."""

    url: str
    host: str
    folder: str
    """Absolute, or, after ``/~/``, below the folder that one is in after the login. Without a slash at its end."""
    port: int | None = None
    user: str | None = None
    identity: str | None = None
    known_hosts: tuple[str, ...] = ()


def parse(place: Place) -> SftpPlace:
    """Raises ``TargetUnfit`` for a password, which has no place in a URL, and for options that there are not."""
    parts = urlsplit(f"//{place.address}")
    if parts.password is not None:
        raise TargetUnfit(
            "a password in a URL ends up in logs and lists of processes, and is not taken",
            subject=place.shown,
            next_step="log in with a key: ssh-keygen, ssh-copy-id, or an agent",
        )
    options = options_of(place, _OPTIONS)
    folder = unquote(parts.path).rstrip("/")
    if not parts.hostname or not folder:
        raise TargetUnfit("it names no host, or no folder", subject=place.shown, next_step="write sftp://HOST/FOLDER")
    known = (options["known_hosts"],) if "known_hosts" in options else _KNOWN
    return SftpPlace(
        with_options(place.shown, options),
        parts.hostname,
        folder.removeprefix("/~/"),
        _port(parts.netloc, place),
        unquote(parts.username) if parts.username else None,
        options.get("identity"),
        tuple(str(path) for each in known if (path := Path(each).expanduser()).is_file()),
    )


def key_of(place: SftpPlace) -> Sequence[asyncssh.SSHKeyPair]:
    """The key that the URL names, with its certificate. Raises ``TargetDenied`` if it cannot be read."""
    try:
        return asyncssh.load_keypairs(place.identity or ())
    except (OSError, asyncssh.KeyImportError) as error:
        raise TargetDenied(
            f"the key {place.identity} cannot be read: {getattr(error, 'strerror', None) or error}",
            subject=place.url,
            next_step="name a private key without a passphrase (?identity=FILE), or let an agent hold it",
        ) from None


def _port(netloc: str, place: Place) -> int | None:
    try:
        return urlsplit(f"//{netloc}").port
    except ValueError:
        raise TargetUnfit("its port is no port", subject=place.shown, next_step="write HOST:22") from None
