"""``holdstill recover``: undo what a killed run left held."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from holdstill.errors import ExitCode, HoldstillError
from holdstill.spi.holds import UndoState
from holdstill_cli.arguments import Commands, command, yes_option
from holdstill_cli.desk import Desk
from holdstill_cli.tables import printable

if TYPE_CHECKING:
    from holdstill import Recovered

_GONE: Final = (UndoState.REMOVED, UndoState.ABSENT)


class StillHeld(HoldstillError):
    """Something is left that could not be undone."""

    id = "recover.left"


def add(commands: Commands) -> None:
    """The part of the command line."""
    parser = command(
        commands,
        "recover",
        run,
        does="Undo what a killed run left behind.",
        more="Snapshots, freezes, mounts: only what our journal names and is provably ours. Harmless to repeat.",
        example="holdstill recover",
    )
    yes_option(parser)


def run(desk: Desk) -> ExitCode:
    """Do it."""
    with desk.job() as talk:
        found = desk.engine.recover(talk)
    left = [each for each in found if each.state not in _GONE]
    error = StillHeld(f"{len(left)} of {len(found)} things are still held", next_step=_by_hand(left)) if left else None
    return desk.answer({"recovered": found}, _lines(found), error=error)


def _lines(found: Sequence[Recovered]) -> Iterator[str]:
    if not found:
        yield "nothing was held"
    for each in found:
        yield printable(f"{each.state}: {each.kind} {each.what}" + (f" ({each.detail})" if each.detail else ""))


def _by_hand(left: Sequence[Recovered]) -> str:
    return "\n".join(["run it again, or by hand:", *(each.by_hand for each in left)])
