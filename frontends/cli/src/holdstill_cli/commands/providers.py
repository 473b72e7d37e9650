"""``holdstill providers``: which plugins are here, and which are broken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from holdstill.errors import ExitCode
from holdstill_cli.arguments import Commands, command
from holdstill_cli.desk import Desk
from holdstill_cli.tables import table

if TYPE_CHECKING:
    from holdstill import PluginRow

_HEADINGS: Final = ("NAME", "VERSION", "DISTRIBUTION", "STATE", "OFFERS")


def add(commands: Commands) -> None:
    """The part of the command line."""
    command(
        commands,
        "providers",
        run,
        does="List the installed providers, the broken ones too.",
        example="holdstill providers",
    )


def run(desk: Desk) -> ExitCode:
    """Do it."""
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
