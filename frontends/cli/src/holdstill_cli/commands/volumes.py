"""``holdstill volumes``: what could be imaged here."""

from __future__ import annotations

from typing import Final

from holdstill import VolumeFacts
from holdstill.errors import ExitCode
from holdstill_cli.arguments import Commands, bytes_option, command
from holdstill_cli.desk import Desk
from holdstill_cli.shapes import filesystem_name
from holdstill_cli.tables import table

_HEADINGS: Final = ("VOLUME", "SIZE", "FILE SYSTEM", "LABEL", "IN USE BY")


def add(commands: Commands) -> None:
    """The part of the command line."""
    parser = command(commands, "volumes", run, does="List the volumes of this host.", example="holdstill volumes")
    bytes_option(parser)


def run(desk: Desk) -> ExitCode:
    """Do it."""
    volumes = desk.engine.volumes()
    rows = [
        (
            volume.path,
            desk.measure(volume.size),
            filesystem_name(volume) or "",
            volume.filesystem.label if volume.filesystem else "",
            _users(volume),
        )
        for volume in volumes
    ]
    return desk.answer(
        {"volumes": volumes}, table(_HEADINGS, rows, right=("SIZE",)) if rows else ["no volumes were found"]
    )


def _users(volume: VolumeFacts) -> str:
    return ", ".join([*(mount.path for mount in volume.mounts), *volume.holders])
