"""The heavy reading done by workers that may be on other machines: what they are told, and what they do."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import attrs

from holdstill.errors import WorkersLost
from holdstill.plugins.registry import Plugins
from holdstill.repository.opening import open_repository
from holdstill.repository.repository import Repository
from holdstill.repository.scrub import Scrubbed, scrub_one
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

    def __call__(self, some: Sequence[Chosen]) -> list[Scrubbed]:
        """Done by a worker. Raises ``WorkersLost`` if another repository is there, and what opening one raises."""
        repository = _opened(self.url)
        if repository.config.repository_id != self.repository_id:
            _opened.cache_clear()
            raise WorkersLost("a worker sees another repository there", subject=self.url)
        return [scrub_one(repository.target, repository.digests, place, pack) for place, pack in some]


@functools.lru_cache(maxsize=8)
def _opened(url: str) -> Repository:
    """Once in each worker, for as long as it lives: opening costs more than a task."""
    return open_repository(Plugins.installed().storage_target(url))


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
