"""Making a repository, and opening one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import attrs

from holdstill.errors import ObjectMissing, PasswordMissing, RepositoryExists, RepositoryMissing, TargetUnfit
from holdstill.repository.config import Config
from holdstill.repository.keyring import Keyring, Unlocked
from holdstill.repository.keys import Cost, Keys
from holdstill.repository.layout import CONFIG, key_key
from holdstill.repository.locks import LOCKED, check_span, prove_locks
from holdstill.repository.presence import is_there
from holdstill.repository.probe import probe_exclusive_create
from holdstill.repository.repository import Repository
from holdstill.repository.sealing import PLAIN, Sealed
from holdstill.repository.trial import Outcome, try_target
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
    lock_for: dt.timedelta | None = None,
) -> Repository:
    """Make a repository. ``chunk_size`` in bytes; ``digest``: blake3 or blake2b; ``codec``: zstd or zlib.

    With a ``password`` it is sealed; ``label`` is what its key is called, ``cost`` what trying a password costs.
    With ``lock_for`` nobody can delete for so long what is stored.
    Without a choice the best that is installed here is taken. Raises ``RepositoryExists``, ``UsageError``,
    ``TargetUnfit``, ``RepositoryError`` (a package is missing).
    """
    span = 0 if lock_for is None else check_span(lock_for)
    fresh = Config.fresh(
        single_writer=True,
        chunk_size=chunk_size,
        digest=digest,
        codec=codec,
        is_sealed=password is not None,
        lock_for=span,
    )
    target.prepare()
    exclusive = target.properties.put_if_absent  # as far as prepare could tell
    config = attrs.evolve(fresh, single_writer=not exclusive)
    unlocked = Unlocked(Keyring.fresh(config.repository_id), "") if password is not None else None
    if not target.properties.known:
        _believe(target)
    if exclusive:
        probe_exclusive_create(target)
    if span:
        prove_locks(target)
    repository = _with_locks(Repository(target, config, unlocked))
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


def _believe(target: Target) -> None:
    """Raises ``TargetUnfit`` with the first reason, unless everything that the target states was tried and holds."""
    failed = [trial for trial in try_target(target).trials if trial.outcome is Outcome.FAILED]
    if failed:
        raise TargetUnfit(
            f"nothing is known of this kind of storage, and it was tried: {failed[0].promise} - not so here:"
            f" {failed[0].detail}",
            subject=target.url,
            next_step="choose another target; `holdstill target check` shows all that was tried",
        )


def _with_locks(repository: Repository) -> Repository:
    if repository.config.lock_for:
        repository.target.lock_new(dt.timedelta(seconds=repository.config.lock_for), LOCKED)
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
        return _with_locks(Repository(target, config, place=place))
    if unlocked is None or unlocked.ring.repository_id != config.repository_id:
        if ask is None:
            raise PasswordMissing("it is sealed, and no password was given", subject=target.url)
        unlocked = Keys(target, config).unlock(ask)
    Config.unsealed(data, Sealed(unlocked.ring))
    return _with_locks(Repository(target, config, unlocked, place))
