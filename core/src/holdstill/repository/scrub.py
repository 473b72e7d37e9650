"""Reading whole packs back, a few at once, and checking every byte."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

import attrs

from holdstill.errors import Cancelled, Damaged, FormatTooNew, ObjectMissing
from holdstill.repository import packs
from holdstill.repository.codecs import Codecs
from holdstill.repository.condition import MISSING
from holdstill.repository.digests import Digests
from holdstill.repository.index import Flags, KnownPack, mark_of
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


@attrs.frozen
class Scrubber:
    """What it takes to check a pack. Of those that are ``strange`` what is in their blobs is looked at too."""

    target: Target
    digests: Digests
    codecs: Codecs
    strange: Flags

    def check(self, place: int, pack: KnownPack) -> Scrubbed:
        """What looks damaged is read once more: a fault on the way here is none of the pack's."""
        first = self._read(place, pack)
        return self._read(place, pack) if first.problem or first.bad else first

    def _read(self, place: int, pack: KnownPack) -> Scrubbed:
        try:
            data = self.target.get(pack.key)
            stored, bad = packs.check_whole(self.digests, pack.key, data)
        except ObjectMissing:
            return Scrubbed(place, 0, MISSING)
        except (Damaged, FormatTooNew) as damage:
            return Scrubbed(place, pack.size, damage.message)
        if mark_of(stored) != pack.mark:
            return Scrubbed(place, pack.size, "its rows are not those that the index has of it")
        if self.strange[place] and not bad:
            bad = packs.check_content(self.digests, self.codecs, stored, data)
        return Scrubbed(place, pack.size, bad=tuple(bad))


def scrub(
    scrubber: Scrubber, chosen: Iterable[tuple[int, KnownPack]], cancelled: Callable[[], bool]
) -> Iterator[Scrubbed]:
    """Each of these packs, read and checked. Raises ``Cancelled``, and what the target raises."""
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="holdstill-scrub") as pool:
        running: deque[Future[Scrubbed]] = deque()
        try:
            for place, pack in chosen:
                if cancelled():
                    raise Cancelled("the verification was ended")
                running.append(pool.submit(scrubber.check, place, pack))
                if len(running) > _THREADS:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
