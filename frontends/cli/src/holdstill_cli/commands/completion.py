"""``holdstill completion``: let the shell complete commands and options."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Final

from holdstill.errors import ExitCode
from holdstill_cli.arguments import Commands, Parser
from holdstill_cli.desk import Desk

_PATHS: Final = ("VOLUME", "FILE")


def add(commands: Commands) -> None:
    """The part of the command line."""
    parser = commands.add_parser(
        "completion",
        help="Print what a shell needs to complete our words.",
        description="Print what a shell needs to complete our words.",
        epilog="example:\n  holdstill completion bash > /etc/bash_completion.d/holdstill",
    )
    parser.set_defaults(run=run)
    parser.add_argument("shell", choices=["bash", "zsh", "fish"], help="for which shell")


def run(desk: Desk) -> ExitCode:
    """Do it."""
    import shtab  # only here: every other command starts without it

    from holdstill_cli.main import parser

    everything = parser()
    for action in _actions(everything):
        if action.metavar in _PATHS:
            action.complete = shtab.FILE  # type: ignore[attr-defined]  # how shtab is told
    desk.talk.streams.out(shtab.complete(everything, desk.asked.shell) + "\n")
    return ExitCode.DONE


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:  # noqa: SLF001  # argparse has no public way to walk a parser
        yield action
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for inner in action.choices.values():
                assert isinstance(inner, Parser)
                yield from _actions(inner)
