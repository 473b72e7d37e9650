"""``holdstill check``: for a monitor, one line and the exit codes that monitors know."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from holdstill import Freshness, HoldstillError, Worry
from holdstill.errors import ExitCode
from holdstill_cli.arguments import Commands, command, duration, repository_option
from holdstill_cli.desk import Desk
from holdstill_cli.tables import printable


class Late(HoldstillError):
    """A volume has no good image that is new enough. Monitors call it critical."""

    id = "check.critical"
    exit_code: ClassVar[ExitCode] = ExitCode(2)


class Doubtful(HoldstillError):
    """Every volume has one, but somebody should look. Monitors call it a warning."""

    id = "check.warning"
    exit_code: ClassVar[ExitCode] = ExitCode(1)


class Unknown(HoldstillError):
    """It could not be found out."""

    id = "check.unknown"
    exit_code: ClassVar[ExitCode] = ExitCode(3)


def add(commands: Commands) -> None:
    """The part of the command line."""
    parser = command(
        commands,
        "check",
        run,
        does="Tell a monitor whether every volume has a good image that is new enough.",
        more="Exits as monitors expect: 0 ok, 1 warning, 2 critical, 3 unknown.",
        example="holdstill check --repo /backup/repo --max-age 26h",
    )
    repository_option(parser)
    parser.add_argument(
        "volumes", metavar="VOLUME", nargs="*", help="must have an image; all that have one if none is named"
    )
    parser.add_argument(
        "--max-age", metavar="SPAN", type=duration, required=True, help="how old the newest may be: 26h, 8d"
    )


def run(desk: Desk) -> ExitCode:
    """Do it."""
    try:
        found = desk.engine.freshness(desk.url, desk.asked.max_age, desk.asked.volumes)
    except HoldstillError as fault:
        unknown = Unknown(fault.message, subject=fault.subject, next_step=fault.next_step)
        return desk.answer({"volumes": []}, [f"HOLDSTILL UNKNOWN - {printable(str(fault))}"], error=unknown)
    error = _error(found)
    return desk.answer({"volumes": found}, _lines(found, error), error=error)


def _error(found: Sequence[Freshness]) -> HoldstillError | None:
    for worry, kind in ((Worry.CRITICAL, Late), (Worry.WARNING, Doubtful)):
        if bad := [each for each in found if each.worry is worry]:
            return kind("; ".join(f"{each.volume}: {each.reason}" for each in bad))
    return None if found else Unknown("there is no image at all")


def _lines(found: Sequence[Freshness], error: HoldstillError | None) -> Iterator[str]:
    word = error.id.removeprefix("check.").upper() if error else "OK"
    said = error.message if error else f"{len(found)} volumes have a good image that is new enough"
    ages = [f"'{printable(each.volume)}'={each.age:.0f}s" for each in found if each.age is not None]
    yield printable(f"HOLDSTILL {word} - {said}") + (f" | {' '.join(ages)}" if ages else "")
