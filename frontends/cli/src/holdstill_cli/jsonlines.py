"""How the command talks with a program: one JSON object a line on standard output, the result last."""

from __future__ import annotations

import enum
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import attrs

from holdstill.errors import Declined, HoldstillError
from holdstill.model.events import Event, Question, Warned
from holdstill_cli.interruption import Interruption
from holdstill_cli.streams import ReaderGone, Streams
from holdstill_cli.talk import Talk


class JsonTalk(Talk):
    """JSON lines (docs/reference/json-output.md). Never asks anybody: without ``--yes`` a question is declined."""

    def __init__(self, streams: Streams, interruption: Interruption) -> None:
        super().__init__(streams, interruption)
        self._parts: list[dict[str, Any]] = []

    def tell(self, event: Event) -> None:
        """Write the event. A job goes on when nobody listens; only its result must be heard."""
        self.warned = self.warned or isinstance(event, Warned)
        with suppress(ReaderGone, OSError):
            self._write({"event": event.name, **attrs.asdict(event)})

    def ask(self, question: Question) -> str:
        """Write the question with the answer it gets. Raises ``Declined`` without ``--yes``."""
        choice = self._agreed(question) if self.yes else None
        with suppress(ReaderGone, OSError):
            self._write({"event": "question", **attrs.asdict(question), "answer": choice})
        if choice is None:
            raise Declined(f"--json asks nobody: {question.text}", next_step="if you mean it, add --yes")
        return choice

    def secret(self, prompt: str) -> None:
        """Nobody is asked."""

    def result(self, answer: Mapping[str, Any], lines: Iterable[str], error: HoldstillError | None) -> None:
        """Write the last line; after parts it repeats them as ``results``."""
        results = {"results": self._parts} if self._parts else {}
        self._write({"event": "result", **self._outcome(error), **answer, **results})

    def part(self, answer: Mapping[str, Any], lines: Iterable[str], error: HoldstillError | None) -> None:
        """Write one volume's line."""
        self._parts.append({**self._outcome(error), **answer})
        self._write({"event": "volume-result", **self._parts[-1]})

    def _outcome(self, error: HoldstillError | None) -> dict[str, Any]:
        if error is None:
            return {"ok": True}
        return {
            "ok": False,
            "error": {
                "id": error.id,
                "message": error.message,
                "subject": error.subject,
                "next_step": error.next_step,
                "exit_code": self.exit_code(error),
            },
        }

    def _write(self, line: Mapping[str, Any]) -> None:
        self.streams.out(dumps(line) + "\n")
        self.streams.flush()


def dumps(value: object) -> str:
    """JSON in ASCII, valid for the strictest reader: see ``plain`` for what becomes of odd names."""
    return json.dumps(plain(value))


def plain(value: object) -> Any:  # noqa: ANN401  # what json.dumps takes
    r"""What JSON can say: attrs objects become objects, tuples arrays, enumerations their values.

    A byte of a name that is not UTF-8 becomes ``\xff`` in letters. Python would write a lone surrogate there, which
    many JSON readers refuse, and one odd file name must not cost the whole answer.
    """
    match value:
        case enum.Enum():
            return value.value
        case str():
            return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        case Mapping():
            return {plain(key): plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [plain(inner) for inner in value]
        case _ if attrs.has(type(value)):
            return plain(attrs.asdict(value, recurse=False))  # type: ignore[arg-type]
        case _:
            return value
