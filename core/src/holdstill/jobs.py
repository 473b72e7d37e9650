"""A job in a thread of its own, for frontends that have a loop of their own: a web server, a window."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from holdstill.errors import Declined
from holdstill.model.events import Event, Question
from holdstill.spi.conversation import Conversation

Result = TypeVar("Result")


class Job(Generic[Result]):
    """One call of the engine, under way.

    ``Job(engine.backup, url, request).start()``; then iterate ``events()``, answer each ``Question`` by its id, and
    take ``result()``. Every method may be called from any thread.
    """

    def __init__(self, call: Callable[..., Result], *arguments: object) -> None:
        """``call`` is given ``arguments`` and then the conversation."""
        self._call = call
        self._arguments = arguments
        self._told: queue.SimpleQueue[Event | Question | None] = queue.SimpleQueue()
        self._talk = _Talk(self._told)
        self._thread = threading.Thread(target=self._run, name="holdstill-job", daemon=True)
        self._outcome: Result | None = None
        self._error: BaseException | None = None

    def start(self) -> Job[Result]:
        """Begin; returns the job itself."""
        self._thread.start()
        return self

    @property
    def done(self) -> bool:
        """Has it ended, one way or the other?"""
        return self._thread.ident is not None and not self._thread.is_alive()

    def events(self, timeout: float | None = None) -> Iterator[Event | Question]:
        """What it tells and asks, until it ends, or until nothing comes for ``timeout`` seconds."""
        while True:
            try:
                told = self._told.get(timeout=timeout)
            except queue.Empty:
                return
            if told is None:
                self._told.put(None)  # for whoever listens next
                return
            yield told

    def answer(self, question: str, choice: str) -> None:
        """Answer the question with this id."""
        self._talk.answer(question, choice)

    def cancel(self) -> None:
        """Ask it to end; it lets go of everything first. ``result`` then raises ``Cancelled``."""
        self._talk.cancel()

    def result(self, timeout: float | None = None) -> Result:
        """Wait for the end. Returns what the call returned, or raises what it raised; TimeoutError if it still runs."""
        self._thread.join(timeout)
        if self._thread.is_alive():
            raise TimeoutError("the job still runs")
        if self._error is not None:
            raise self._error
        return self._outcome  # type: ignore[return-value]  # set by now: the thread has ended without an error

    def _run(self) -> None:
        try:
            self._outcome = self._call(*self._arguments, self._talk)
        except BaseException as error:  # noqa: BLE001  # handed to whoever takes the result
            self._error = error
        finally:
            self._told.put(None)


class _Talk(Conversation):
    """The job's side: tells into a queue, waits for answers, knows of the cancel."""

    def __init__(self, told: queue.SimpleQueue[Event | Question | None]) -> None:
        self._told = told
        self._answers: dict[str, str] = {}
        self._changed = threading.Condition()
        self._cancelled = False

    def tell(self, event: Event) -> None:
        self._told.put(event)

    def ask(self, question: Question) -> str:
        self._told.put(question)
        with self._changed:
            self._changed.wait_for(lambda: question.id in self._answers or self._cancelled)
            choice = self._answers.pop(question.id, None)
        if choice not in question.choices:
            raise Declined(f"not answered with one of {', '.join(question.choices)}", subject=question.id)
        return choice

    def cancelled(self) -> bool:
        return self._cancelled

    def answer(self, question: str, choice: str) -> None:
        with self._changed:
            self._answers[question] = choice
            self._changed.notify_all()

    def cancel(self) -> None:
        with self._changed:
            self._cancelled = True
            self._changed.notify_all()
