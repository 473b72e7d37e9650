"""``holdstill delete``: forget one image."""

from __future__ import annotations

from holdstill.errors import ExitCode
from holdstill_cli.arguments import Commands, command, repository_option, yes_option
from holdstill_cli.desk import Desk
from holdstill_cli.shapes import image_answer
from holdstill_cli.tables import printable


def add(commands: Commands) -> None:
    """The part of the command line."""
    parser = command(
        commands,
        "delete",
        run,
        does="Delete one image.",
        more="Other images are not touched, whatever they share with it.",
        example="holdstill delete --repo /backup/repo 3f9ac2d1",
    )
    repository_option(parser)
    yes_option(parser)
    parser.add_argument("image", metavar="IMAGE", help="an image id, the beginning of one, or `latest`")


def run(desk: Desk) -> ExitCode:
    """Do it."""
    with desk.job() as talk:
        image = desk.engine.delete(desk.url, desk.asked.image, talk)
    return desk.answer(image_answer(image), [f"deleted image {image.id} of {printable(image.volume.path)}"])
