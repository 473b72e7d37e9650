"""``holdstill target check``: does this storage keep its promises?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from holdstill.errors import ExitCode, TargetUnfit
from holdstill_cli.arguments import Commands, Parser, command
from holdstill_cli.desk import Desk
from holdstill_cli.tables import table

if TYPE_CHECKING:
    from holdstill import TargetReport


def add(commands: Commands) -> None:
    """The part of the command line."""
    parser = commands.add_parser("target", help="Try out a storage target.", description="Try out a storage target.")
    beneath: Commands = parser.add_subparsers(metavar="COMMAND", required=True, title="commands", parser_class=Parser)
    check = command(
        beneath,
        "check",
        run,
        does="Try whether a storage target keeps the promises that a repository needs.",
        more="Writes small objects there, races for them, reads and lists them, and removes them again.",
        example="holdstill target check /backup/repo",
    )
    check.add_argument("url", metavar="URL", help="where the repository is, or would be")


def run(desk: Desk) -> ExitCode:
    """Do it."""
    with desk.job() as talk:
        report = desk.engine.check_target(desk.asked.url, talk)
    answer = {"url": report.url, "properties": report.properties, "trials": report.trials}
    return desk.answer(answer, _lines(report), error=_unfit(report))


def _unfit(report: TargetReport) -> TargetUnfit | None:
    failed = [trial.name for trial in report.trials if trial.outcome == "failed"]
    if not failed:
        return None
    return TargetUnfit(
        f"promises are not kept: {', '.join(failed)}",
        subject=report.url,
        next_step="do not keep a repository there; choose another target",
    )


def _lines(report: TargetReport) -> Iterator[str]:
    yield from table(
        ("TRIAL", "OUTCOME", "PROMISE", "DETAIL"),
        [(trial.name, str(trial.outcome), trial.promise, trial.detail) for trial in report.trials],
    )
