"""How the command talks with a person: answers on standard output, everything beside them on standard error."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Mapping
from typing import Any

from holdstill.errors import Cancelled, Declined, ExitCode, HoldstillError
from holdstill.model.events import Event, Noted, Progress, Question, StageStarted, Warned
from holdstill.spi.conversation import Conversation
from holdstill_cli.arguments import WrongUsage
from holdstill_cli.interruption import Interruption
from holdstill_cli.progress import ProgressLine
from holdstill_cli.streams import Streams
from holdstill_cli.tables import facts, printable


class Talk(Conversation, abc.ABC):
    """What terminal and JSON have in common: the flag, the yes, and whether anybody was warned."""

    def __init__(self, streams: Streams, interruption: Interruption) -> None:
        self.streams = streams
        self.interruption = interruption
        self.yes = False
        self.warned = False
        #: an object was begun on standard output: nothing else may follow there before it ends
        self.half_said = False

    def cancelled(self) -> bool:
        """Has a signal come?"""
        return self.interruption.came

    def exit_code(self, error: HoldstillError) -> ExitCode:
        """The command's for this error: an interruption's depends on which signal it was."""
        if isinstance(error, Cancelled) and self.interruption.came:
            return self.interruption.exit_code
        return error.exit_code

    def heed(self, warnings: Iterable[str]) -> None:
        """Take note of what a result warns of."""
        self.warned = self.warned or any(True for _ in warnings)

    @abc.abstractmethod
    def tell(self, event: Event) -> None:
        """Pass an event on."""

    @abc.abstractmethod
    def result(self, answer: Mapping[str, Any], lines: Iterable[str], error: HoldstillError | None) -> None:
        """Give the command's answer, once, last: as data and as lines for people, and what went wrong, if anything."""

    @abc.abstractmethod
    def part(self, answer: Mapping[str, Any], lines: Iterable[str], error: HoldstillError | None) -> None:
        """Give the answer for one of several volumes."""

    @abc.abstractmethod
    def secret(self, prompt: str) -> str | None:
        """What somebody types without its being shown; None where nobody is there to ask. Raises ``Cancelled``."""

    def complain(self, error: HoldstillError) -> None:
        """Say on standard error what went wrong and what to do next."""
        if isinstance(error, WrongUsage):
            self.streams.err(f"{error.usage}\n")
        self.streams.err(f"holdstill: {about(error.subject, error.message)}\n")
        for step in error.next_step.splitlines():
            self.streams.err(f"  {printable(step)}\n")

    def _agreed(self, question: Question) -> str:
        return "yes" if "yes" in question.choices else question.default


def about(subject: str, message: str) -> str:
    """What it is about and what is said of it, fit for a terminal."""
    return printable(f"{subject}: {message}" if subject else message)


class TerminalTalk(Talk):
    """Plain text. Without a terminal nothing is drawn and nothing asked; warnings and errors are still said."""

    def __init__(self, streams: Streams, interruption: Interruption) -> None:
        super().__init__(streams, interruption)
        self._line = ProgressLine(streams)
        self._stopping = False
        self._said: set[str] = set()

    def tell(self, event: Event) -> None:
        """Draw progress, say warnings."""
        match event:
            case Progress():
                self._line.show(event)
            case StageStarted():
                self._line.begin(event.stage, event.subject)
            case Warned():
                self._warn(event.message, event.subject)
            case Noted() if self.streams.someone_watches:
                self._say(f"note: {about(event.subject, event.message)}")

    def heed(self, warnings: Iterable[str]) -> None:
        """Say those that were not said when they arose."""
        for message in warnings:
            if message not in self._said:
                self._warn(message, "")

    def cancelled(self) -> bool:
        """Has a signal come? Say so at once, for releasing may take a while."""
        if self.interruption.came and not self._stopping:
            self._stopping = True
            self._say("stopping; releasing what is held")
        return self.interruption.came

    def ask(self, question: Question) -> str:
        """Show what it is about and wait for an answer. Raises ``Declined`` where nobody can give one."""
        self._line.wipe()
        if self.yes:
            return self._agreed(question)
        if not self.streams.someone_answers:
            raise Declined(
                f"nobody is there to answer: {question.text}", next_step="run it on a terminal, or with --yes"
            )
        for line in facts(question.facts.items()):
            self.streams.err(f"  {line}\n")
        shown = "/".join(choice.upper() if choice == question.default else choice for choice in question.choices)
        with self.interruption.at_once():
            try:
                return self._read_choice(question, f"{printable(question.text)} [{shown}] ")
            except KeyboardInterrupt as fault:
                self.streams.err("\n")
                raise Cancelled("interrupted at a question; nothing was done") from fault

    def secret(self, prompt: str) -> str | None:
        """Asked for on the terminal."""
        self._line.wipe()
        if not self.streams.someone_answers:
            return None
        with self.interruption.at_once():
            try:
                return self.streams.hidden_answer(printable(prompt))
            except KeyboardInterrupt as fault:
                self.streams.err("\n")
                raise Cancelled("interrupted at a password; nothing was done") from fault

    def _read_choice(self, question: Question, prompt: str) -> str:
        while True:
            self.streams.err(prompt)
            line = self.streams.answer()
            typed = line.strip().lower()
            if not line:
                self.streams.err("\n")
            if not typed:
                return question.default
            meant = [choice for choice in question.choices if choice.startswith(typed)]
            if len(meant) == 1:
                return meant[0]

    def result(self, answer: Mapping[str, Any], lines: Iterable[str], error: HoldstillError | None) -> None:
        """Print the lines, then the error."""
        self.part(answer, lines, error)

    def part(self, answer: Mapping[str, Any], lines: Iterable[str], error: HoldstillError | None) -> None:
        """Print the lines, then the error."""
        self._line.wipe()
        for line in lines:
            self.streams.out(f"{line}\n")
        self.streams.flush()
        if error is not None:
            self.complain(error)

    def _warn(self, message: str, subject: str) -> None:
        self.warned = True
        self._said.add(message)
        self._say(f"warning: {about(subject, message)}")

    def _say(self, text: str) -> None:
        self._line.wipe()
        self.streams.err(f"{text}\n")
