"""``holdstill show``: everything that is known of one image."""

from __future__ import annotations

from collections.abc import Iterator

from holdstill import Image
from holdstill.errors import ExitCode
from holdstill_cli.arguments import Commands, bytes_option, command, image_argument, repository_option
from holdstill_cli.desk import Desk
from holdstill_cli.shapes import image_answer, verified_words
from holdstill_cli.tables import facts, printable, took


def add(commands: Commands) -> None:
    """The part of the command line."""
    parser = command(
        commands,
        "show",
        run,
        does="Show everything about one image.",
        example="holdstill show --repo /backup/repo latest --volume /home",
    )
    repository_option(parser)
    bytes_option(parser)
    image_argument(parser)


def run(desk: Desk) -> ExitCode:
    """Do it."""
    image = desk.engine.show(desk.url, desk.asked.image, desk.asked.volume)
    verified = desk.engine.verified(desk.url).get(image.id)
    protected = desk.engine.protected(desk.url, image.id)
    answer = {**image_answer(image), "verified": verified, "protected": protected}
    return desk.answer(answer, _lines(image, verified_words(verified), desk, protected=protected))


def _lines(image: Image, verified: str, desk: Desk, *, protected: bool) -> Iterator[str]:
    sizes, filesystem = image.sizes, image.volume.filesystem
    yield from facts(
        [
            ("image", image.id),
            ("taken", f"{image.taken}, in {took(image.seconds)}"),
            ("host", image.host),
            ("volume", image.volume.path),
            ("device", image.volume.device),
            ("file system", " ".join(filter(None, (filesystem.name, filesystem.label))) if filesystem else "not known"),
            ("held", f"{image.mode} ({image.consistency})"),
            ("whole volume", image.whole_volume_because or ""),
            ("stored", f"{desk.measure(sizes.stored_size)} of a volume of {desk.measure(sizes.volume_size)}"),
            ("volume size", desk.measure(sizes.volume_size)),
            ("used", desk.measure(sizes.used_size)),
            ("read", desk.measure(sizes.read_size)),
            ("image size", f"{desk.measure(sizes.image_size)}, with what it shares with other images"),
            ("snapshot peak", desk.measure(sizes.cache_peak)),
            (
                "chunks",
                f"{image.new_chunks} new, {image.reused_chunks} known already, {desk.measure(image.chunk_size)} each",
            ),
            *(("unreadable", f"{hole.length} bytes at {hole.offset}, zeros in the image") for hole in image.unread),
            *(("note", note) for note in image.notes),
            ("map", _audited(image, desk)),
            ("verified", verified or "never"),
            ("protected", "yes" if protected else ""),
            ("made by", image.made_by),
            ("copy of", f"image {image.origin.image} of repository {image.origin.repository}" if image.origin else ""),
            *_managed(image),
        ]
    )
    if image.managed is not None and image.managed.layout:
        yield ""
        yield from (printable(line.expandtabs(4)) for line in image.managed.layout.splitlines())


def _managed(image: Image) -> Iterator[tuple[str, str]]:
    if image.managed is not None:
        yield "volume manager", f"{image.managed.manager}, imaged by a client {image.managed.client}"
        yield from ((name.replace("_", " "), value) for name, value in sorted(image.managed.facts.items()))


def _audited(image: Image, desk: Desk) -> str:
    if image.whole_volume_because:
        return ""
    if image.audit is None:
        return "not audited"
    return f"audited: {desk.measure(image.audit.size)} in {image.audit.ranges} ranges are unused, says {image.audit.by}"
