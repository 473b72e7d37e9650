"""Tasks behind the standard executor: done by threads here, or by whoever else can reach the targets."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Final, Generic, Self, TypeVar

import attrs

from holdstill.errors import Cancelled, HoldstillError, WorkersLost

Item = TypeVar("Item")
Result = TypeVar("Result")

#: so often a job that waits for others asks whether it is still wanted, seconds
_LOOK_UP: Final = 0.25


def _never() -> None:
    return None


@attrs.frozen
class Crew:
    """Who does tasks."""

    executor: Executor
    width: int
    """So many tasks are under way at once."""
    name: str = ""
    """Where they are; empty: here."""
    lost: Callable[[], str | None] = _never
    """Why no more answers will come, or None."""

    def lack(self, reason: str) -> WorkersLost:
        """The error that a task of theirs was not done."""
        return WorkersLost(
            f"a task was not done: {reason}"[:500],
            subject=self.name,
            next_step="what was done is kept; look into the workers' logs, or leave --executor away",
        )


@contextmanager
def threads(count: int, ahead: int) -> Iterator[Crew]:
    """So many threads of this process, with ``ahead`` tasks under way. None outlives the block."""
    with ThreadPoolExecutor(count, thread_name_prefix="holdstill") as pool:
        try:
            yield Crew(pool, ahead)
        finally:
            pool.shutdown(cancel_futures=True)


@attrs.define
class Tasks(Generic[Item, Result]):
    """Tasks under way, and their results in the order in which they were given."""

    _crew: Crew
    _task: Callable[[Item], Result]
    _cancelled: Callable[[], bool]
    _running: deque[tuple[Item, Future[Result]]] = attrs.field(factory=deque)

    @property
    def is_full(self) -> bool:
        """Are as many under way as may be?"""
        return len(self._running) >= self._crew.width

    @property
    def is_empty(self) -> bool:
        """Is none under way?"""
        return not self._running

    def give(self, item: Item) -> None:
        """One more. Raises ``Cancelled``, and ``WorkersLost`` if nobody takes it."""
        if self._cancelled():
            raise Cancelled("cancelled")
        try:
            self._running.append((item, self._crew.executor.submit(self._task, item)))
        except Exception as error:
            raise self._crew.lack(f"{type(error).__name__}: {error}") from error

    def take(self) -> tuple[Item, Result]:
        """The oldest that was given, and what it came to. Raises ``Cancelled``, ``WorkersLost``, and what it raised."""
        item, future = self._running[0]
        while not wait([future], timeout=_LOOK_UP).done:
            if self._cancelled():
                raise Cancelled("cancelled")
            if reason := self._crew.lost():
                raise self._crew.lack(reason)
        if self._cancelled():
            raise Cancelled("cancelled")
        self._running.popleft()
        try:
            return item, future.result()
        except HoldstillError:
            raise
        except (Exception, asyncio.CancelledError) as error:  # an executor may raise anything
            if not self._crew.name:
                raise
            raise self._crew.lack(f"{type(error).__name__}: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        for _, future in self._running:
            future.cancel()
