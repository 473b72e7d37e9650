"""Making a repository, and opening one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import attrs

from holdstill.errors import ObjectMissing, PasswordMissing, RepositoryExists, RepositoryMissing
from holdstill.repository.config import Config
from holdstill.repository.keyring import Keyring, Unlocked
from holdstill.repository.keys import Cost, Keys
from holdstill.repository.layout import CONFIG, key_key
from holdstill.repository.presence import is_there
from holdstill.repository.probe import probe_exclusive_create
from holdstill.repository.repository import Repository
from holdstill.repository.sealing import PLAIN, Sealed
from holdstill.spi.target import Target

__all__ = ["Repository", "create", "open_repository"]

#: asks somebody for the password of a repository; what it returns is in no log, error or ``repr``
Ask = Callable[[], bytes]


def create(
    target: Target,
    *,
    chunk_size: int | None = None,
    digest: str | None = None,
    codec: str | None = None,
    password: bytes | None = None,
    label: str = "",
    cost: Cost | None = None,
) -> Repository:
    """Make a repository. ``chunk_size`` in bytes; ``digest``: blake3 or blake2b; ``codec``: zstd or zlib.

    With a ``password`` it is sealed; ``label`` is what its key is called, ``cost`` what trying a password costs.
    Without a choice the best that is installed here is taken. Raises ``RepositoryExists``, ``UsageError``,
    ``TargetUnfit``, ``RepositoryError`` (a package is missing).
    """
    exclusive = target.properties.put_if_absent
    config = Config.fresh(
        single_writer=not exclusive, chunk_size=chunk_size, digest=digest, codec=codec, is_sealed=password is not None
    )
    unlocked = Unlocked(Keyring.fresh(config.repository_id), "") if password is not None else None
    repository = Repository(target, config, unlocked)
    target.prepare()
    if exclusive:
        probe_exclusive_create(target)
    if is_there(target, CONFIG):
        raise _exists(target)
    name = None
    if unlocked is not None and password is not None:
        name = Keys(target, config).add(unlocked.ring, password, label, repository.sealing, cost or Cost())
        repository.unlocked = attrs.evolve(unlocked, key=name)
    sealed = config.sealed(repository.sealing)
    if exclusive and not target.put_if_absent(CONFIG, sealed):
        if name is not None:
            target.delete(key_key(name))
        raise _exists(target)
    if not exclusive:
        target.put(CONFIG, sealed)
    return repository


def _exists(target: Target) -> RepositoryExists:
    return RepositoryExists("there is a repository already", subject=target.url)


def open_repository(
    target: Target, ask: Ask | None = None, unlocked: Unlocked | None = None, place: Path | None = None
) -> Repository:
    """``ask`` is called if a password is needed; ``unlocked`` is a sealed repository's, if it was opened before;
    ``place``: see ``Repository``.

    Raises ``RepositoryMissing``, ``Damaged``, ``FormatTooNew``, ``RepositoryError`` (a package is missing),
    ``PasswordMissing``, ``PasswordWrong``.
    """
    try:
        data = target.get(CONFIG)
    except ObjectMissing as error:
        raise RepositoryMissing(
            "there is no repository", subject=target.url, next_step="Make one with `holdstill init`."
        ) from error
    config = Config.unsealed(data)
    if not config.is_sealed:
        Config.unsealed(data, PLAIN)
        return Repository(target, config, place=place)
    if unlocked is None or unlocked.ring.repository_id != config.repository_id:
        if ask is None:
            raise PasswordMissing("it is sealed, and no password was given", subject=target.url)
        unlocked = Keys(target, config).unlock(ask)
    Config.unsealed(data, Sealed(unlocked.ring))
    return Repository(target, config, unlocked, place)
