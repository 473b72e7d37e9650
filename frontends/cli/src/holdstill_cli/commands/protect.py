"""``holdstill protect`` and ``unprotect``: keep one image whatever a policy or a person says."""

from __future__ import annotations

from holdstill.errors import ExitCode
from holdstill_cli.arguments import Commands, command, image_argument, repository_option
from holdstill_cli.desk import Desk
from holdstill_cli.shapes import image_answer
from holdstill_cli.tables import printable


def add(commands: Commands) -> None:
    """The part of the command line."""
    for name, run, does in (
        ("protect", protect, "Protect one image: nothing deletes it."),
        ("unprotect", unprotect, "Let an image be deleted again."),
    ):
        parser = command(commands, name, run, does=does, example=f"holdstill {name} --repo /backup/repo 3f9ac2d1")
        repository_option(parser)
        image_argument(parser)


def protect(desk: Desk) -> ExitCode:
    """Do it."""
    image = desk.engine.protect(desk.url, desk.asked.image, desk.asked.volume)
    return desk.answer(image_answer(image), [f"protected image {image.id} of {printable(image.volume.path)}"])


def unprotect(desk: Desk) -> ExitCode:
    """Undo it."""
    image = desk.engine.unprotect(desk.url, desk.asked.image, desk.asked.volume)
    return desk.answer(image_answer(image), [f"image {image.id} of {printable(image.volume.path)} is not protected"])
