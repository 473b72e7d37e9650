"""``holdstill images``: list what a repository holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from holdstill import Image, Verified
from holdstill.errors import ExitCode
from holdstill_cli.arguments import Commands, bytes_option, command, repository_option
from holdstill_cli.desk import Desk
from holdstill_cli.shapes import filesystem_name, image_answer, verified_words
from holdstill_cli.tables import table

_SIZES: Final = ("VOLUME SIZE", "USED", "STORED")
_HEADINGS: Final = ("IMAGE", "TAKEN", "HOST", "VOLUME", "FILE SYSTEM", "MODE", *_SIZES, "VERIFIED")


def add(commands: Commands) -> None:
    """The part of the command line."""
    parser = command(
        commands, "images", run, does="List the images, oldest first.", example="holdstill images --repo /backup/repo"
    )
    repository_option(parser)
    bytes_option(parser)


def run(desk: Desk) -> ExitCode:
    """Do it."""
    images = desk.engine.images(desk.url, desk.talk)
    verified = desk.engine.verified(desk.url)
    answers = [{**image_answer(image), "verified": verified.get(image.id)} for image in images]
    return desk.answer({"images": answers}, _lines(images, verified, desk))


def _lines(images: Sequence[Image], verified: Mapping[str, Verified], desk: Desk) -> Iterator[str]:
    if not images:
        yield "no images yet"
        return
    length = _telling_length([image.id for image in images])
    rows = [
        (
            image.id[:length],
            image.taken,
            image.host,
            image.volume.path,
            filesystem_name(image.volume) or "",
            f"{image.mode}, {image.consistency}",
            desk.measure(image.sizes.volume_size),
            desk.measure(image.sizes.used_size),
            desk.measure(image.sizes.stored_size),
            verified_words(verified.get(image.id)),
        )
        for image in images
    ]
    yield from table(_HEADINGS, rows, right=_SIZES)


def _telling_length(ids: Sequence[str]) -> int:
    """How many digits tell all ids apart: at least eight."""
    length = 8
    while len({each[:length] for each in ids}) < len(ids):
        length += 1
    return length
