"""``holdstill import``: bring in a raw image file, as what another client once made of a volume."""

from __future__ import annotations

from holdstill import ImportRequest
from holdstill.errors import ExitCode
from holdstill_cli.arguments import Commands, bytes_option, client_options, command, repository_option, yes_option
from holdstill_cli.commands.backup import told
from holdstill_cli.commands.compat import MODES
from holdstill_cli.desk import Desk
from holdstill_cli.shapes import backup_answer


def add(commands: Commands) -> None:
    """The part of the command line."""
    parser = command(
        commands,
        "import",
        run,
        does="Bring a raw image file of another client into the repository.",
        more="The file stays as it is. What is said of it must be possible: `holdstill compat` has the rules.",
        example="holdstill import --repo /backup/repo home.img --volume-manager lvm1 --client 5.3",
    )
    repository_option(parser)
    yes_option(parser)
    bytes_option(parser)
    parser.add_argument("file", metavar="FILE", help="every byte of the volume, as a restore to a file writes it")
    parser.add_argument(
        "--volume-manager", choices=["lvm1", "lvm2"], required=True, help="whose the volume was that was imaged"
    )
    parser.add_argument(
        "--client", choices=client_options(), required=True, help="the client: 5.3 and all before, or 5.4 and all after"
    )
    parser.add_argument(
        "--filesystem", metavar="NAME", help="what is in it, where that is not recognised; `raw`: no file system"
    )
    parser.add_argument("--mode", choices=MODES, help="how the client held the volume; dynamic means a fuzzy image")


def run(desk: Desk) -> ExitCode:
    """Do it."""
    asked = desk.asked
    request = ImportRequest(
        file=asked.file,
        manager=asked.volume_manager,
        client=asked.client,
        filesystem=asked.filesystem,
        mode=asked.mode,
    )
    with desk.job() as talk:
        result = desk.engine.import_image(desk.url, request, talk)
    desk.talk.heed(result.warnings)
    return desk.answer(backup_answer(result), told(result, desk))
