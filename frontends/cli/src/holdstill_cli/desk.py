"""What every command works at: the engine, the repository, the conversation."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from holdstill.errors import ExitCode, HoldstillError, UsageError
from holdstill_cli.passwords import GivenPasswords
from holdstill_cli.tables import measure
from holdstill_cli.talk import Talk

if TYPE_CHECKING:
    from holdstill import Engine


class Desk:
    """One invocation of the command. The engine is made when it is first needed: plugins take a moment to load."""

    def __init__(self, asked: Namespace, talk: Talk, make_engine: Callable[[], Engine]) -> None:
        self.asked = asked
        self._make_engine = make_engine
        self.talk = talk

    @cached_property
    def engine(self) -> Engine:
        """The engine with whatever plugins are installed, and the options file that was named."""
        engine = self._make_engine()
        engine.passwords = self.passwords
        options = getattr(self.asked, "options", None)
        return engine.with_options(options) if options else engine

    @cached_property
    def passwords(self) -> GivenPasswords:
        """Where the password of a sealed repository comes from."""
        return GivenPasswords(self.asked.password_file, self.asked.password_command, self.talk.secret)

    @property
    def url(self) -> str:
        """The repository that was named. Raises ``UsageError`` if none was."""
        url = self.asked.repo or os.environ.get("HOLDSTILL_REPO", "")
        if not url:
            raise UsageError("no repository was named", next_step="add --repo PLACE, or set HOLDSTILL_REPO")
        return str(url)

    @contextmanager
    def job(self) -> Iterator[Talk]:
        """Around an engine call that may hold something: a signal is remembered, and the engine ends the job."""
        with self.talk.interruption.remembered():
            yield self.talk

    def measure(self, number: int) -> str:
        """A size in bytes as the user wants to see it."""
        return measure(number, exact=self.asked.bytes)

    def answer(
        self, answer: Mapping[str, Any], lines: Iterable[str], *, error: HoldstillError | None = None
    ) -> ExitCode:
        """Give the command's answer and say what to exit with."""
        self.talk.result(answer, lines, error)
        if error is not None:
            return self.talk.exit_code(error)
        return ExitCode.WARNINGS if self.talk.warned else ExitCode.DONE
