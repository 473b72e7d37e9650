"""``holdstill providers``: which plugins are here, and which are broken."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import attrs

from holdstill.errors import ExitCode
from holdstill_cli.arguments import Commands, command
from holdstill_cli.desk import Desk
from holdstill_cli.tables import printable, table

if TYPE_CHECKING:
    from holdstill import HostReport, PluginRow

_HEADINGS: Final = ("NAME", "VERSION", "DISTRIBUTION", "STATE", "OFFERS")


def add(commands: Commands) -> None:
    """The part of the command line."""
    parser = command(
        commands,
        "providers",
        run,
        does="List the installed providers, the broken ones too.",
        example="holdstill providers",
    )
    parser.add_argument(
        "--check",
        metavar="MACHINE",
        nargs="?",
        const="",
        help="ask this host, or ssh://host, for what was never seen of its system, and print a report; changes nothing",
    )


def run(desk: Desk) -> ExitCode:
    """Do it."""
    if desk.asked.check is not None:
        report = desk.engine.check_host(desk.asked.check or None)
        checks = [{"plugin": plugin, **attrs.asdict(check)} for plugin, check in report.checks]
        return desk.answer({**attrs.asdict(report), "checks": checks}, _report(report))
    rows = desk.engine.providers()
    lines = table(_HEADINGS, [(row.name, row.version, row.distribution, _state(row), _offers(row)) for row in rows])
    return desk.answer({"providers": rows}, lines)


def _state(row: PluginRow) -> str:
    if row.broken is not None:
        return f"broken: {row.broken}"
    if row.info is not None and not row.info.applies_here:
        return f"not for this host: {row.info.because}"
    return "works"


def _offers(row: PluginRow) -> str:
    return ", ".join(row.hooks)


def _report(report: HostReport) -> Iterator[str]:
    """Everything, so that it can be sent as it is."""
    yield printable(f"holdstill {report.version} on {report.host} ({report.system})")
    for plugin, check in report.checks:
        yield ""
        yield printable(f"{check.settled.value.upper()}: {plugin}: {check.what}")
        yield printable(f"  command: {check.command}")
        codes = [("taken", check.taken_code, check.taken), ("found", check.code, check.found)]
        for word, code, text in codes:
            if code is not None or text:
                yield f"  {word}" + (f", exit code {code}:" if code is not None else ":")
            yield from (printable(f"    | {line}") for line in text.splitlines())
    otherwise = sum(check.settled.value == "otherwise" for _, check in report.checks)
    unasked = sum(check.settled.value == "unasked" for _, check in report.checks)
    yield ""
    yield f"{len(report.checks)} things: {otherwise} otherwise, {unasked} for a person to type. Nothing was changed."
    yield "Please send this to us: an issue of the project, with the release of the system."
