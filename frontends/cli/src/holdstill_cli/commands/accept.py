"""``holdstill accept``: take a repository as it is, although this host knew it otherwise."""

from __future__ import annotations

from holdstill.errors import ExitCode
from holdstill_cli.arguments import Commands, command, repository_option, yes_option
from holdstill_cli.desk import Desk


def add(commands: Commands) -> None:
    """The part of the command line."""
    parser = command(
        commands,
        "accept",
        run,
        does="Accept a repository that was set back or replaced.",
        more="Only what this host remembers of the place changes; nothing is written to the repository.",
        example="holdstill accept --repo /backup/repo",
    )
    repository_option(parser)
    yes_option(parser)


def run(desk: Desk) -> ExitCode:
    """Do it."""
    with desk.job() as talk:
        difference = desk.engine.accept(desk.url, talk)
    said = f"accepted as it is: {difference}" if difference else "it is what this host knew"
    return desk.answer({"difference": difference}, [said])
