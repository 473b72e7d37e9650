"""Making a repository, and opening one."""

from __future__ import annotations

import datetime as dt

import attrs

from holdstill.errors import ObjectMissing, RepositoryExists, RepositoryMissing, TargetUnfit
from holdstill.repository.config import Config
from holdstill.repository.layout import CONFIG
from holdstill.repository.locks import LOCKED, check_span, prove_locks
from holdstill.repository.presence import is_there
from holdstill.repository.probe import probe_exclusive_create
from holdstill.repository.repository import Repository
from holdstill.repository.trial import Outcome, try_target
from holdstill.spi.target import Target

__all__ = ["Repository", "create", "open_repository"]


def create(
    target: Target,
    *,
    chunk_size: int | None = None,
    digest: str | None = None,
    codec: str | None = None,
    lock_for: dt.timedelta | None = None,
) -> Repository:
    """Make a repository. ``chunk_size`` in bytes; ``digest``: blake3 or blake2b; ``codec``: zstd or zlib; ``lock_for``:
    how long nobody can delete what is stored.

    Without a choice the best that is installed here is taken. Raises ``RepositoryExists``, ``UsageError``,
    ``TargetUnfit``.
    """
    span = 0 if lock_for is None else check_span(lock_for)
    config = Config.fresh(single_writer=True, chunk_size=chunk_size, digest=digest, codec=codec, lock_for=span)
    target.prepare()
    exclusive = target.properties.put_if_absent  # what prepare found out
    config = attrs.evolve(config, single_writer=not exclusive)
    if not target.properties.known:
        _believe(target)
    if exclusive:
        probe_exclusive_create(target)
    if span:
        prove_locks(target)
    repository = _with_locks(Repository(target, config))
    if not (target.put_if_absent(CONFIG, config.sealed()) if exclusive else _put_first(target, config)):
        raise RepositoryExists("there is a repository already", subject=target.url)
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


def _put_first(target: Target, config: Config) -> bool:
    if is_there(target, CONFIG):
        return False
    target.put(CONFIG, config.sealed())
    return True


def open_repository(target: Target) -> Repository:
    """Raises ``RepositoryMissing``, ``Damaged``, ``FormatTooNew``, ``RepositoryError`` (a wheel is missing)."""
    try:
        data = target.get(CONFIG)
    except ObjectMissing as error:
        raise RepositoryMissing(
            "there is no repository", subject=target.url, next_step="Make one with `holdstill init`."
        ) from error
    return _with_locks(Repository(target, Config.unsealed(data)))
