"""Reading packs back to check them, cut into tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Final

import attrs

from holdstill.repository import crews
from holdstill.repository.crews import Crew, Tasks
from holdstill.repository.index import KnownPack
from holdstill.repository.scrub import Scrubbed

#: each holds one pack in memory
_THREADS: Final = 2

#: a pack's place in the index, and what the index says of it
Chosen = tuple[int, KnownPack]
Check = Callable[[int, KnownPack], Scrubbed]


@attrs.frozen
class Scrubbers:
    """Who reads. ``look`` is all that they are told: it takes some packs, and may be sent to another machine."""

    crew: Crew
    look: Callable[[Sequence[Chosen]], list[Scrubbed]]
    together: int
    """Packs to a task."""


@contextmanager
def threads(check: Check) -> Iterator[Scrubbers]:
    """Two threads of this process."""
    with crews.threads(_THREADS, _THREADS + 1) as crew:
        yield Scrubbers(crew, partial(_each, check), together=1)


def scrub(
    scrubbers: Scrubbers, again: Check, chosen: Iterable[Chosen], cancelled: Callable[[], bool]
) -> Iterator[Scrubbed]:
    """Each of these packs, read and checked. What others found wrong is looked at ``again`` here: a worker that cannot
    reach a pack, or has bad memory, hurts none. Raises ``Cancelled``, ``WorkersLost``, and what the target raises.
    """
    with Tasks(scrubbers.crew, scrubbers.look, cancelled) as tasks:
        for some in _batches(chosen, scrubbers.together):
            tasks.give(some)
            if tasks.is_full:
                yield from _done(scrubbers, *tasks.take(), again)
        while not tasks.is_empty:
            yield from _done(scrubbers, *tasks.take(), again)


def _done(scrubbers: Scrubbers, some: Sequence[Chosen], found: list[Scrubbed], again: Check) -> Iterator[Scrubbed]:
    for each, one in zip(some, found, strict=True):
        yield again(*each) if scrubbers.crew.name and not one.is_well else one


def _each(check: Check, some: Sequence[Chosen]) -> list[Scrubbed]:
    return [check(place, pack) for place, pack in some]


def _batches(chosen: Iterable[Chosen], size: int) -> Iterator[list[Chosen]]:
    left = iter(chosen)
    while some := list(islice(left, size)):
        yield some
