"""Processes that share a storage target, one call at a time, in the order that a test chooses.

Each actor is a thread that stands still before every call to its target until the test lets it go on, and the test may
have the call fail, lose its reply, be carried out later, or let the actor die there.
"""

from __future__ import annotations

import enum
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any, Final, Self, TypeVar

import attrs

from holdstill.errors import TargetError
from holdstill.model.buffers import Buffer
from holdstill.spi.target import Listed, Target

Answer = TypeVar("Answer")

#: a test that waits so long for an actor has found a deadlock, seconds
_TOO_LONG: Final = 60


class Outcome(enum.StrEnum):
    """What becomes of one call."""

    DONE = "done"
    FAILED = "failed"
    """Nothing was done, and the caller is told so."""
    NO_REPLY = "no reply"
    """It was done, and the caller is told that it failed."""
    LATER = "later"
    """The caller is told that it failed, and it is done at some later time."""
    DEATH = "death"
    """The caller is no more, before it is done."""
    LAST_WORD = "last word"
    """It is done, and the caller is no more."""


class Died(BaseException):
    """The actor is dead: nothing that it does from now on reaches the target."""


class InlineExecutor:
    """Stands in for a thread pool where the order of calls must be the test's choice: does everything at once."""

    def __init__(self, *_: object, **__: object) -> None:
        """Takes what a pool takes."""

    def submit(self, call: Callable[..., Answer], *arguments: Any) -> Future[Answer]:  # handed on
        """Do it now."""
        future: Future[Answer] = Future()
        try:
            future.set_result(call(*arguments))
        except Exception as error:  # as a pool does
            future.set_exception(error)
        return future

    def shutdown(self, **_: object) -> None:
        """Nothing is under way."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@attrs.define(eq=False)
class Actor:
    """Does one thing, in a thread of its own, call by call."""

    name: str
    _inner: Target
    _do: Callable[[Target], object]
    later: list[Callable[[], object]] = attrs.field(factory=list)
    """Requests without a reply that may still be carried out."""
    result: object = None
    error: BaseException | None = None
    ended: bool = False
    dead: bool = False
    calls: int = 0
    before: str = ""
    """The call that it stands before: verb and key."""
    listing: Callable[[str, tuple[Listed, ...]], Sequence[Listed]] = lambda _, fresh: fresh
    """What a listing shows, given the true one."""
    _outcome: Outcome = Outcome.DONE
    _go: threading.Semaphore = attrs.field(factory=lambda: threading.Semaphore(0))
    _stopped: threading.Semaphore = attrs.field(factory=lambda: threading.Semaphore(0))

    def start(self) -> Actor:
        """Run to the first call."""
        threading.Thread(target=self._run, name=self.name, daemon=True).start()
        self._wait()
        return self

    def step(self, outcome: Outcome = Outcome.DONE) -> None:
        """Let the call that it stands before come to ``outcome``, and run to the next one, or to the end."""
        assert not self.ended
        self._outcome = outcome
        self._go.release()
        self._wait()

    def finish(self) -> Actor:
        """Go on to the end."""
        while not self.ended:
            self.step()
        return self

    def _wait(self) -> None:
        assert self._stopped.acquire(timeout=_TOO_LONG), f"{self.name} neither calls nor ends"

    def _run(self) -> None:
        try:
            self.result = self._do(_Gate(self._inner, self))
        except BaseException as error:  # the test looks at it
            self.error = error
        self.ended = True
        self._stopped.release()

    def pass_on(self, what: str, call: Callable[[], Answer], *, changes: bool) -> Answer:
        """One call of the actor's, in its own thread."""
        if self.dead:
            raise Died
        self.before = what
        self._stopped.release()
        self._go.acquire()
        self.calls += 1
        match self._outcome:
            case Outcome.DONE:
                return call()
            case Outcome.DEATH:
                self.dead = True
                raise Died
            case Outcome.LAST_WORD:
                self.dead = True
                call()
                raise Died
            case Outcome.NO_REPLY:
                call()
            case Outcome.LATER if changes:
                self.later.append(call)
        raise TargetError(f"no answer: {what}", retryable=True)


class _Gate(Target):
    """The target as an actor sees it."""

    def __init__(self, inner: Target, actor: Actor) -> None:
        self._inner = inner
        self._actor = actor
        self.url = inner.url
        self.properties = inner.properties

    def put(self, key: str, parts: Sequence[Buffer]) -> None:
        whole = [bytes(part) for part in parts]
        self._actor.pass_on(f"put {key}", lambda: self._inner.put(key, whole), changes=True)

    def put_if_absent(self, key: str, parts: Sequence[Buffer]) -> bool:
        whole = [bytes(part) for part in parts]
        return self._actor.pass_on(f"put_if_absent {key}", lambda: self._inner.put_if_absent(key, whole), changes=True)

    def get(self, key: str) -> bytes:
        return self._actor.pass_on(f"get {key}", lambda: self._inner.get(key), changes=False)

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        return self._actor.pass_on(
            f"get_range {key}", lambda: self._inner.get_range(key, offset, length), changes=False
        )

    def size(self, key: str) -> int:
        return self._actor.pass_on(f"size {key}", lambda: self._inner.size(key), changes=False)

    def delete(self, key: str) -> None:
        self._actor.pass_on(f"delete {key}", lambda: self._inner.delete(key), changes=True)

    def list(self, prefix: str) -> Iterator[Listed]:
        def seen() -> Sequence[Listed]:
            return self._actor.listing(prefix, tuple(self._inner.list(prefix)))

        return iter(self._actor.pass_on(f"list {prefix}", seen, changes=False))
