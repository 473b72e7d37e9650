"""The commands of the user: one before the volume is held, one when its users may go on."""

from __future__ import annotations

import json
import shlex
from typing import Final

import attrs

from holdstill.errors import CommandFailed, UsageError
from holdstill.held.journal import Held, Journal
from holdstill.model.events import Warned
from holdstill.model.orders import BackupOrder
from holdstill.spi.conversation import Conversation
from holdstill.spi.holds import Hold, Undone, UndoState
from holdstill.spi.runner import Runner

#: the journal's kind for a command that is still owed; the core runs it itself
OWED: Final = "command.post"


@attrs.define
class Commands:
    """Both of one run. ``runner`` starts the first, ``steady`` the second: it runs also when the job is being
    cancelled.
    """

    before: tuple[str, ...]
    after: tuple[str, ...]
    limit: float
    warnings: list[str] = attrs.field(factory=list, init=False)
    _owed: Hold | None = attrs.field(default=None, init=False)

    @classmethod
    def of(cls, request: BackupOrder) -> Commands:
        """Raises ``UsageError`` for what cannot be split into words."""
        return cls(_words(request.pre_command), _words(request.post_command), request.command_limit)

    def run_before(self, journal: Journal, runner: Runner) -> None:
        """Write down that the second is owed, then run the first. Raises ``CommandFailed``."""
        if self.after:
            data = {"argv": json.dumps(self.after), "limit": str(self.limit)}
            self._owed = journal.hold(OWED, data, by_hand=shlex.join(self.after))
        if not self.before:
            return
        ran = runner.ask(self.before, limit=self.limit)
        if not ran.ok:
            raise CommandFailed(
                f"the command before the image failed: {ran.said}",
                subject=shlex.join(self.before),
                next_step="nothing was held and nothing was imaged; the command after was run all the same"
                if self.after
                else "nothing was held and nothing was imaged",
            )

    def run_after(self, steady: Runner, talk: Conversation) -> None:
        """Run the second, if it is owed. Its failure is a warning."""
        owed, self._owed = self._owed, None
        if owed is None:
            return
        ran = steady.ask(self.after, limit=self.limit)
        owed.drop()
        if not ran.ok:
            text = f"the command after the image failed: {ran.said}"
            self.warnings.append(f"{text} ({shlex.join(self.after)})")
            talk.tell(Warned("command.post", self.warnings[-1]))


def settle(held: Held, steady: Runner) -> Undone:
    """Run the command that a dead run still owed. A command that fails has been run: it is not owed any more."""
    argv = tuple(str(word) for word in json.loads(held.data["argv"]))
    ran = steady.ask(argv, limit=float(held.data["limit"]))
    return Undone(UndoState.REMOVED, "it was run" if ran.ok else f"it was run, and failed: {ran.said}")


def _words(command: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(command))
    except ValueError as error:
        raise UsageError(
            f"this command cannot be split into words: {error}", subject=command, next_step="check its quotes"
        ) from error
