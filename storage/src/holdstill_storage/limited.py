"""A target whose calls come back in time: what foreign code does not bound, a thread of its own does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from holdstill.errors import TargetError
from holdstill.model.buffers import Buffer
from holdstill.spi.target import Listed, Target, TargetProperties
from holdstill_storage.patience import Patience

Answer = TypeVar("Answer")


class Limited(Target):
    """Passes everything on to ``inner``, each call in a thread that is left behind when the call takes too long.

    It cannot be ended, and may still do what it was to do: a request without a reply.
    """

    def __init__(self, inner: Target, patience: Patience) -> None:
        self.inner = inner
        self.url = inner.url
        self.properties: TargetProperties = inner.properties
        self._patience = patience

    def __repr__(self) -> str:
        return repr(self.inner)

    def put(self, key: str, parts: Sequence[Buffer]) -> None:
        """Passed on, the bytes copied: the caller may use its buffers again while a late call still reads."""
        whole = b"".join(parts)
        self._within(lambda: self.inner.put(key, [whole]), key, len(whole))

    def put_if_absent(self, key: str, parts: Sequence[Buffer]) -> bool:
        """Passed on, as above."""
        whole = b"".join(parts)
        return self._within(lambda: self.inner.put_if_absent(key, [whole]), key, len(whole))

    def get(self, key: str) -> bytes:
        """Passed on."""
        return self._within(lambda: self.inner.get(key), key, self.properties.largest)

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """Passed on."""
        return self._within(lambda: self.inner.get_range(key, offset, length), key, length)

    def size(self, key: str) -> int:
        """Passed on."""
        return self._within(lambda: self.inner.size(key), key)

    def delete(self, key: str) -> None:
        """Passed on."""
        self._within(lambda: self.inner.delete(key), key)

    def list(self, prefix: str) -> Iterator[Listed]:
        """Read to its end, again and again if need be: fsspec lists a folder as a whole."""
        return iter(self._patience.persist(lambda: self._within(lambda: tuple(self.inner.list(prefix)), prefix)))

    def prepare(self) -> None:
        """Passed on."""
        self._within(self.inner.prepare, "")

    def close(self) -> None:
        """Passed on."""
        self._within(self.inner.close, "")

    def _within(self, call: Callable[[], Answer], key: str, size: int = 0) -> Answer:
        answers: list[Answer] = []
        errors: list[BaseException] = []

        def run() -> None:
            try:
                answers.append(call())
            except BaseException as error:  # noqa: BLE001  # raised again by whoever waits
                errors.append(error)

        thread = threading.Thread(target=run, name="holdstill-target", daemon=True)
        thread.start()
        limit = self._patience.limit_for(size)
        thread.join(limit)
        if errors:
            raise errors[0]
        if not answers:
            subject = f"{self.url}: {key}" if key else self.url
            raise TargetError(
                f"no answer in {limit:.0f} s", subject=subject, next_step="check the network", retryable=True
            )
        return answers[0]
