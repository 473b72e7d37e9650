"""Where a repository's objects live."""

from __future__ import annotations

import abc
import datetime as dt
import enum
import re
from collections.abc import Iterator, Sequence
from typing import Final, Self

import attrs

from holdstill.errors import TargetUnfit
from holdstill.model.buffers import Buffer

#: what every target can store as a name: short, lower-case, no dots, so that nothing can climb out of it
KEY: Final = re.compile(r"[a-z0-9-]{1,64}(/[a-z0-9-]{1,64}){0,3}")


class Durability(enum.StrEnum):
    """What an acknowledged ``put`` survives."""

    MEMORY = "memory"
    """Nothing: gone with the process."""
    CRASH = "crash"
    """The end of our process, not the loss of power."""
    POWER = "power"
    """The loss of power: synced, file and directory, or the service says so."""


@attrs.frozen
class TargetProperties:
    """What an adapter states of its target. Shown to the user, tried by ``holdstill target check``."""

    durability: Durability
    put_if_absent: bool
    """Is creation exclusive under races? Without it a repository is single-writer, and says so."""
    fresh_listings: bool
    """Does a listing show every object put before it began? The protocol never relies on it."""
    connections: int = 2
    """How many requests at once are worth while."""
    largest: int = 64 << 20
    """The largest object, bytes."""
    known: bool = True
    """Is all this known of this kind of storage? Else ``init`` tries it, and refuses a target that fails."""


@attrs.frozen
class Listed:
    """One row of a listing. A hint, never a proof. ``size`` is -1 where the target does not say."""

    key: str
    size: int


class Target(abc.ABC):
    """A store of write-once, whole objects under keys that match ``KEY``.

    Obligations:

    1. A ``put`` is atomic: others see the whole object or none, also when we die half-way; it is durable, as far as
       ``properties.durability`` goes,
       when it returns. A failed sync is final: the error is raised, never tried again behind the caller's back.
    2. ``put_if_absent`` creates for exactly one of any number of racing callers. An adapter that cannot do that *says
       so* in its properties and raises
       ``TargetUnfit``; it never imitates it by looking first.
    3. ``get`` and ``get_range`` after an acknowledged put return those bytes, also where a "not found" was answered a
       moment ago.
    4. Errors are ``TargetError`` and its kinds, ``is_retryable`` set by who knows; ``ObjectMissing`` means that the
       target was asked and has none.
    5. Every method may be called from several threads at once.
    """

    url: str
    """As a user would write it, without secrets."""
    properties: TargetProperties
    local_path: str | None = None
    """The folder of this host in which the objects are, if they are: a restore must not write over it."""

    @abc.abstractmethod
    def put(self, key: str, parts: Sequence[Buffer]) -> None:
        """Store the concatenation of ``parts`` under ``key``, replacing what is there."""

    @abc.abstractmethod
    def put_if_absent(self, key: str, parts: Sequence[Buffer]) -> bool:
        """Store it only if there is nothing under ``key``. False: somebody was first, and nothing changed."""

    @abc.abstractmethod
    def get(self, key: str) -> bytes:
        """The whole object. Raises ``ObjectMissing``."""

    @abc.abstractmethod
    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """Exactly ``length`` bytes from ``offset`` on. Raises ``TargetError`` if the object ends before,
        ``ObjectMissing`` if there is none.
        """

    @abc.abstractmethod
    def size(self, key: str) -> int:
        """The object's size in bytes. Raises ``ObjectMissing``."""

    @abc.abstractmethod
    def delete(self, key: str) -> None:
        """Remove it. No error if it is not there."""

    @abc.abstractmethod
    def list(self, prefix: str) -> Iterator[Listed]:
        """What seems to be under ``prefix`` (a key's folder with its slash, or ``""``), in any order. Foreign names
        are left out.
        """

    def lock_new(self, span: dt.timedelta, below: Sequence[str]) -> None:
        """From now on keep what is put under keys that begin with one of ``below`` from being deleted for ``span``.

        ``delete`` raises ``TargetLocked`` for it. Raises ``TargetUnfit`` where the target cannot do that: most cannot.
        """
        raise TargetUnfit(
            "objects cannot be locked there",
            subject=self.url,
            next_step="use a bucket of S3 that was made with object lock, or leave --lock-for out",
        )

    def locked_until(self, key: str) -> dt.datetime | None:
        """Until when the object cannot be deleted; None if it can be. One request. Raises ``ObjectMissing``."""
        raise TargetUnfit("objects cannot be locked there", subject=self.url)

    def lock_longer(self, key: str, until: dt.datetime) -> None:
        """Keep an object from being deleted until then, which is later than before. One request.

        Raises ``ObjectMissing``.
        """
        raise TargetUnfit("objects cannot be locked there", subject=self.url)

    def prepare(self) -> None:
        """Make the place where objects go, if the target needs one made (a directory), and find out what must be tried
        to be known; ``properties`` may say less after it. Called by ``init`` and ``target check`` only.
        """

    def close(self) -> None:
        """Let go of connections. May be called twice."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def check_key(key: str) -> str:
    """The key, or ValueError: adapters call this first, whoever calls them."""
    if not KEY.fullmatch(key):
        raise ValueError(f"not an object key: {key!r}")
    return key


def check_prefix(prefix: str) -> str:
    """What ``list`` may be asked for, or ValueError: ``""``, or a folder of keys with its slash."""
    if prefix and not (prefix.endswith("/") and KEY.fullmatch(prefix[:-1])):
        raise ValueError(f"not a folder of object keys: {prefix!r}")
    return prefix
