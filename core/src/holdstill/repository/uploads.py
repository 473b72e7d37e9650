"""A few threads that put objects while the next ones are filled, with a bounded backlog."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from holdstill.errors import Fenced, ObjectMissing
from holdstill.model.buffers import Buffer
from holdstill.spi.target import Target

#: each may hold a whole pack in memory
_MOST_THREADS: Final = 4


class Uploads:
    """Puts in the background. One thread hands in; the first error comes up at its next calls, for ever."""

    def __init__(self, target: Target, *, exclusive: bool) -> None:
        self._target = target
        self._exclusive = exclusive
        threads = max(1, min(target.properties.connections, _MOST_THREADS))
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="holdstill-put")
        self._backlog = threads + 1
        self._running: deque[Future[None]] = deque()

    def put(self, key: str, parts: list[Buffer], acknowledged: Callable[[], None]) -> None:
        """Store a fresh object; ``acknowledged`` is called (in another thread) once it is there."""
        self._settle(self._backlog - 1)
        self._running.append(self._pool.submit(self._put, key, parts, acknowledged))

    def wait(self) -> None:
        """Until everything handed in is acknowledged."""
        self._settle(0)

    def _settle(self, left: int) -> None:
        """Until at most ``left`` puts are on their way. A failed one stays at the head: nothing comes after it."""
        while self._running and (len(self._running) > left or self._running[0].done()):
            self._running[0].result()
            self._running.popleft()

    def _put(self, key: str, parts: list[Buffer], acknowledged: Callable[[], None]) -> None:
        if not self._exclusive:
            self._target.put(key, parts)
        elif not self._target.put_if_absent(key, parts) and not self._is_ours(key, parts):
            raise Fenced("another process writes under this writer's number", subject=key)
        acknowledged()

    def _is_ours(self, key: str, parts: list[Buffer]) -> bool:
        """Was it an earlier sending of the same, whose reply an adapter lost?"""
        try:
            return self._target.get(key) == b"".join(parts)
        except ObjectMissing:
            return False

    def close(self) -> None:
        """Begin nothing more, and wait for what is on its way."""
        self._pool.shutdown(cancel_futures=True)
