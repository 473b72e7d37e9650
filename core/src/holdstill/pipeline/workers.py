"""Both cores busy, the results in order, a bounded number under way."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

from holdstill.errors import Cancelled
from holdstill.spi.conversation import Conversation

Item = TypeVar("Item")
Result = TypeVar("Result")

#: more threads than this only cost memory: the codec and the digest keep a core busy each
MOST: Final = 64
#: one thread of a core computes while the other waits for the disk
A_CORE: Final = 2
#: bytes of volume that may be under way at once, whatever the number of cores
UNDER_WAY: Final = 64 << 20


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), MOST)
    return min(os.cpu_count() or 1, MOST)


def in_order(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    talk: Conversation,
    *,
    workers: int,
    item_size: int,
) -> Iterator[Result]:
    """Do ``work`` on each item, in threads enough for ``workers`` cores; yield the results in the order of the items.

    At most ``UNDER_WAY`` bytes of items of ``item_size`` bytes each are under way, but always one item. The first
    exception ends it, after the items under way have ended: no thread outlives the call. Raises ``Cancelled`` when
    told to.
    """
    threads = A_CORE * workers
    ahead = max(1, min(2 * threads, UNDER_WAY // item_size))
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(min(threads, ahead), thread_name_prefix="holdstill") as pool:
        try:
            for item in items:
                if talk.cancelled():
                    raise Cancelled("cancelled")
                waiting.append(pool.submit(work, item))
                if len(waiting) >= ahead:
                    yield waiting.popleft().result()
            while waiting:
                if talk.cancelled():
                    raise Cancelled("cancelled")
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
