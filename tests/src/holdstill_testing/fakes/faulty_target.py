"""A target between us and another that fails as told: at the n-th call, half done, or after it was done."""

from __future__ import annotations

import enum
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import attrs

from holdstill.errors import TargetError
from holdstill.model.buffers import Buffer
from holdstill.spi.target import Listed, Target

Answer = TypeVar("Answer")


class Fault(enum.StrEnum):
    """What goes wrong."""

    FAIL = "fail"
    """Nothing was done, and the caller is told so."""
    TEAR = "tear"
    """A put stored only its first half, and the caller is told that it failed: a target that breaks its contract."""
    DROP_REPLY = "drop-reply"
    """It was done, but the caller is told that it failed: what a lost connection looks like."""
    STALE = "stale"
    """A listing shows what it showed the first time."""
    HANG = "hang"
    """Waits until ``release`` is set, then goes on as if nothing had been."""


@attrs.frozen
class Planned:
    """One fault: at the ``at``-th call (from 1) of ``verb``; 0 means at every call, ``any`` means whatever verb."""

    fault: Fault
    verb: str = "any"
    at: int = 0
    key: str = ""
    """Only for keys that begin so; they are counted by themselves."""
    error: Callable[[str], BaseException] = lambda text: TargetError(text, retryable=True)


class FaultyTarget(Target):
    """Passes everything on to ``inner``, save what is planned. ``calls`` counts by verb; ``log`` has every call."""

    def __init__(self, inner: Target, *planned: Planned) -> None:
        self.inner = inner
        self.url = inner.url
        self.properties = inner.properties
        self.planned = list(planned)
        self.calls: Counter[str] = Counter()
        self.log: list[tuple[str, str]] = []
        self.release = threading.Event()
        self.hanging = threading.Event()
        self._seen: Counter[int] = Counter()
        self._stale: dict[str, tuple[Listed, ...]] = {}
        self._lock = threading.Lock()

    def put(self, key: str, parts: Sequence[Buffer]) -> None:
        """Passed on, or not."""
        self._pass("put", key, lambda: self.inner.put(key, parts), lambda: self.inner.put(key, _half(parts)))

    def put_if_absent(self, key: str, parts: Sequence[Buffer]) -> bool:
        """Passed on, or not."""
        return self._pass(
            "put_if_absent",
            key,
            lambda: self.inner.put_if_absent(key, parts),
            lambda: self.inner.put_if_absent(key, _half(parts)),
        )

    def get(self, key: str) -> bytes:
        """Passed on, or not."""
        return self._pass("get", key, lambda: self.inner.get(key))

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """Passed on, or not."""
        return self._pass("get_range", key, lambda: self.inner.get_range(key, offset, length))

    def size(self, key: str) -> int:
        """Passed on, or not."""
        return self._pass("size", key, lambda: self.inner.size(key))

    def delete(self, key: str) -> None:
        """Passed on, or not."""
        self._pass("delete", key, lambda: self.inner.delete(key))

    def list(self, prefix: str) -> Iterator[Listed]:
        """Passed on, or not."""
        fresh = self._pass("list", prefix, lambda: tuple(self.inner.list(prefix)))
        first = self._stale.setdefault(prefix, fresh)
        return iter(first if any(plan.fault is Fault.STALE for plan in self.planned) else fresh)

    def prepare(self) -> None:
        """Passed on."""
        self.inner.prepare()

    def close(self) -> None:
        """Passed on."""
        self.inner.close()

    def _pass(self, verb: str, key: str, act: Callable[[], Answer], tear: Callable[[], object] | None = None) -> Answer:
        plan = self._due(verb, key)
        if plan is None:
            return act()
        if plan.fault is Fault.HANG:
            self.hanging.set()
            self.release.wait()
            return act()
        if plan.fault is Fault.DROP_REPLY:
            act()
        elif plan.fault is Fault.TEAR and tear is not None:
            tear()
        raise plan.error(f"planned to fail: {verb} {key}")

    def _due(self, verb: str, key: str) -> Planned | None:
        """The first plan that is due at this call; every plan counts it."""
        with self._lock:
            self.calls[verb] += 1
            self.log.append((verb, key))
            due = []
            for number, plan in enumerate(self.planned):
                if plan.fault is not Fault.STALE and plan.verb in {"any", verb} and key.startswith(plan.key):
                    self._seen[number] += 1
                    if plan.at in {0, self._seen[number]}:
                        due.append(plan)
        return due[0] if due else None


def _half(parts: Sequence[Buffer]) -> list[bytes]:
    whole = b"".join(parts)
    return [whole[: len(whole) // 2]]
