"""Running what is asynchronous for callers that are not, each call with a limit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from fsspec.asyn import get_loop, sync

Answer = TypeVar("Answer")


def run(work: Callable[[], Coroutine[Any, Any, Answer]], limit: float) -> Answer:
    """What ``work`` comes to, on the thread on which all asynchronous work of this process is done.

    Raises ``TimeoutError`` after ``limit`` seconds; the work is cancelled then, and closes what it uses. What was sent
    may still be carried out.
    """

    async def limited() -> Answer:
        async with asyncio.timeout(limit):
            return await work()

    answer: Answer = sync(get_loop(), limited)
    return answer
