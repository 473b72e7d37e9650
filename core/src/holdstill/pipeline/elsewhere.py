"""The heavy reading done by workers that may be on other machines: what they are told, and what they do."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import attrs
import numpy as np

from holdstill.errors import PasswordMissing, WorkersLost
from holdstill.plugins.registry import Plugins
from holdstill.repository.opening import open_repository
from holdstill.repository.repository import Repository
from holdstill.repository.scrub import Scrubbed, Scrubber
from holdstill.repository.spreading import Chosen, Scrubbers

#: packs to a task: enough that asking costs little, few enough that a worker that dies has not done much in vain
_TOGETHER: Final = 4
#: tasks for each that can be done at once, so that nobody waits for the next
_AHEAD: Final = 2


@attrs.frozen
class PackCheck:
    """Read some packs of a repository. All of it goes to the workers, and none of it is secret: the URL is the one that
    is shown, and whatever it takes to open it the worker must find where it is.
    """

    url: str
    repository_id: str
    password_at: str = "HOLDSTILL_PASSWORD"  # noqa: S105  # where it is
    """Of a sealed repository: the variable, in the worker's environment, that holds the password; or, with ``_FILE``
    behind it, that names the file which does.
    """

    def __call__(self, some: Sequence[Chosen]) -> list[Scrubbed]:
        """Done by a worker. Raises ``WorkersLost`` if another repository is there, and what opening one raises."""
        repository = _opened(self.url, self.password_at)
        if repository.config.repository_id != self.repository_id:
            _opened.cache_clear()
            raise WorkersLost("a worker sees another repository there", subject=self.url)
        nobody = np.zeros(1 + max((place for place, _ in some), default=0), dtype=np.bool_)
        scrubber = Scrubber(repository.target, repository.digests, repository.codecs, nobody)
        return [scrubber.check(place, pack) for place, pack in some]


@functools.lru_cache(maxsize=8)
def _opened(url: str, password_at: str) -> Repository:
    """Once in each worker, for as long as it lives: opening costs more than a task."""
    return open_repository(Plugins.installed().storage_target(url), lambda: _password(url, password_at))


def _password(url: str, password_at: str) -> bytes:
    if file := os.environ.get(f"{password_at}_FILE"):
        try:
            return Path(file).read_bytes().rstrip(b"\r\n")
        except OSError as error:
            raise PasswordMissing(f"a worker cannot read {file}: {error.strerror}", subject=url) from error
    if text := os.environ.get(password_at):
        return os.fsencode(text)
    raise PasswordMissing(
        "it is sealed, and a worker finds no password",
        subject=url,
        next_step=f"set {password_at}_FILE where the workers run",
    )


@contextmanager
def scrubbers(plugins: Plugins, executor: str | None, repository: Repository) -> Iterator[Scrubbers | None]:
    """Who reads the packs of ``repository``; None: threads here. Raises ``NoProvider``, ``UsageError``,
    ``WorkersLost``.
    """
    if executor is None:
        yield None
        return
    with plugins.workforce(executor) as workers:
        look = PackCheck(repository.target.url, repository.config.repository_id)
        yield Scrubbers(workers.executor, look, _AHEAD * workers.width, _TOGETHER, workers.url, workers.lost)
