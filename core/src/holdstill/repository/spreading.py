"""The heavy reading, cut into tasks behind the standard executor: threads here, or whoever else can read the target."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Final

import attrs

from holdstill.errors import Cancelled, HoldstillError, WorkersLost
from holdstill.repository.index import KnownPack
from holdstill.repository.scrub import Scrubbed

#: each holds one pack in memory
_THREADS: Final = 2
#: so often a job that waits for others asks whether it is still wanted, seconds
_LOOK_UP: Final = 0.25

#: a pack's place in the index, and what the index says of it
Chosen = tuple[int, KnownPack]
Check = Callable[[int, KnownPack], Scrubbed]


@attrs.frozen
class Scrubbers:
    """Who reads. ``look`` is all that they are told: it takes some packs, and may be sent to another machine."""

    executor: Executor
    look: Callable[[Sequence[Chosen]], list[Scrubbed]]
    width: int
    """So many tasks are under way at once."""
    together: int
    """Packs to a task."""
    name: str = ""
    """Where they are; empty: here."""
    lost: Callable[[], str | None] = lambda: None
    """Why no more answers will come, or None."""


@contextmanager
def threads(check: Check) -> Iterator[Scrubbers]:
    """Two threads of this process."""
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="holdstill-scrub") as pool:
        try:
            yield Scrubbers(pool, partial(_each, check), _THREADS + 1, together=1)
        finally:
            pool.shutdown(cancel_futures=True)


def scrub(
    scrubbers: Scrubbers, again: Check, chosen: Iterable[Chosen], cancelled: Callable[[], bool]
) -> Iterator[Scrubbed]:
    """Each of these packs, read and checked. What others found wrong is looked at ``again`` here: a worker that cannot
    reach a pack, or has bad memory, hurts none. Raises ``Cancelled``, ``WorkersLost``, and what the target raises.
    """
    running: deque[tuple[list[Chosen], Future[list[Scrubbed]]]] = deque()
    try:
        for some in _batches(chosen, scrubbers.together):
            running.append((some, _submitted(scrubbers, some)))
            if len(running) >= scrubbers.width:
                yield from _done(scrubbers, *running.popleft(), again, cancelled)
        while running:
            yield from _done(scrubbers, *running.popleft(), again, cancelled)
    finally:
        for _, future in running:
            future.cancel()


def _submitted(scrubbers: Scrubbers, some: list[Chosen]) -> Future[list[Scrubbed]]:
    try:
        return scrubbers.executor.submit(scrubbers.look, some)
    except Exception as error:
        raise _lost(scrubbers, f"{type(error).__name__}: {error}") from error


def _done(
    scrubbers: Scrubbers,
    some: list[Chosen],
    future: Future[list[Scrubbed]],
    again: Check,
    cancelled: Callable[[], bool],
) -> Iterator[Scrubbed]:
    while not wait([future], timeout=_LOOK_UP).done:
        if cancelled():
            raise Cancelled("the verification was ended")
        if reason := scrubbers.lost():
            raise _lost(scrubbers, reason)
    if cancelled():
        raise Cancelled("the verification was ended")
    try:
        found = future.result()
    except HoldstillError:
        raise
    except (Exception, asyncio.CancelledError) as error:  # an executor may raise anything
        if not scrubbers.name:
            raise
        raise _lost(scrubbers, f"{type(error).__name__}: {error}") from error
    for each, one in zip(some, found, strict=True):
        yield again(*each) if scrubbers.name and not one.is_well else one


def _lost(scrubbers: Scrubbers, reason: str) -> WorkersLost:
    return WorkersLost(
        f"a task was not done: {reason}"[:500],
        subject=scrubbers.name,
        next_step="what was read is kept; look into the workers' logs, or leave --executor away",
    )


def _each(check: Check, some: Sequence[Chosen]) -> list[Scrubbed]:
    return [check(place, pack) for place, pack in some]


def _batches(chosen: Iterable[Chosen], size: int) -> Iterator[list[Chosen]]:
    left = iter(chosen)
    while some := list(islice(left, size)):
        yield some
