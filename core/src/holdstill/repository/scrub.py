"""Reading whole packs back, a few at once, and checking every byte."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

import attrs

from holdstill.errors import Cancelled, Damaged, FormatTooNew, ObjectMissing
from holdstill.repository import packs
from holdstill.repository.condition import MISSING
from holdstill.repository.digests import Digests
from holdstill.repository.index import KnownPack, mark_of
from holdstill.spi.target import Target

#: each holds one pack in memory
_THREADS: Final = 2


@attrs.frozen
class Scrubbed:
    """What one pack turned out to be: all well if ``problem`` is empty and no row is ``bad``."""

    place: int
    size: int
    problem: str = ""
    bad: tuple[int, ...] = ()


def scrub(
    target: Target, digests: Digests, chosen: Iterable[tuple[int, KnownPack]], cancelled: Callable[[], bool]
) -> Iterator[Scrubbed]:
    """Each of these packs, read and checked. Raises ``Cancelled``, and what the target raises."""
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="holdstill-scrub") as pool:
        running: deque[Future[Scrubbed]] = deque()
        try:
            for place, pack in chosen:
                if cancelled():
                    raise Cancelled("the verification was ended")
                running.append(pool.submit(_scrub_one, target, digests, place, pack))
                if len(running) > _THREADS:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _scrub_one(target: Target, digests: Digests, place: int, pack: KnownPack) -> Scrubbed:
    """What looks damaged is read once more: a fault on the way here is none of the pack's."""
    first = _read_one(target, digests, place, pack)
    return _read_one(target, digests, place, pack) if first.problem or first.bad else first


def _read_one(target: Target, digests: Digests, place: int, pack: KnownPack) -> Scrubbed:
    try:
        stored, bad = packs.check_whole(digests, pack.key, target.get(pack.key))
    except ObjectMissing:
        return Scrubbed(place, 0, MISSING)
    except (Damaged, FormatTooNew) as damage:
        return Scrubbed(place, pack.size, damage.message)
    if mark_of(stored) != pack.mark:
        return Scrubbed(place, pack.size, "its rows are not those that the index has of it")
    return Scrubbed(place, pack.size, bad=tuple(bad))
