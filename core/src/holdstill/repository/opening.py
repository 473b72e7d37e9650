"""Making a repository, and opening one."""

from __future__ import annotations

from pathlib import Path

from holdstill.errors import ObjectMissing, RepositoryExists, RepositoryMissing
from holdstill.repository.config import Config
from holdstill.repository.layout import CONFIG
from holdstill.repository.presence import is_there
from holdstill.repository.probe import probe_exclusive_create
from holdstill.repository.repository import Repository
from holdstill.spi.target import Target

__all__ = ["Repository", "create", "open_repository"]


def create(
    target: Target, *, chunk_size: int | None = None, digest: str | None = None, codec: str | None = None
) -> Repository:
    """Make a repository. ``chunk_size`` in bytes; ``digest``: blake3 or blake2b; ``codec``: zstd or zlib.

    Without a choice the best that is installed here is taken. Raises ``RepositoryExists``, ``UsageError``,
    ``TargetUnfit``.
    """
    exclusive = target.properties.put_if_absent
    config = Config.fresh(single_writer=not exclusive, chunk_size=chunk_size, digest=digest, codec=codec)
    repository = Repository(target, config)
    target.prepare()
    if exclusive:
        probe_exclusive_create(target)
    if not (target.put_if_absent(CONFIG, config.sealed()) if exclusive else _put_first(target, config)):
        raise RepositoryExists("there is a repository already", subject=target.url)
    return repository


def _put_first(target: Target, config: Config) -> bool:
    if is_there(target, CONFIG):
        return False
    target.put(CONFIG, config.sealed())
    return True


def open_repository(target: Target, place: Path | None = None) -> Repository:
    """``place``: see ``Repository``.

    Raises ``RepositoryMissing``, ``Damaged``, ``FormatTooNew``, ``RepositoryError`` (a wheel is missing).
    """
    try:
        data = target.get(CONFIG)
    except ObjectMissing as error:
        raise RepositoryMissing(
            "there is no repository", subject=target.url, next_step="Make one with `holdstill init`."
        ) from error
    return Repository(target, Config.unsealed(data), place)
