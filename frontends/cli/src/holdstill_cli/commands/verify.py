"""``holdstill verify``: check what is stored."""

from __future__ import annotations

from collections.abc import Iterator

from holdstill import VerifyRequest, VerifyResult
from holdstill.errors import Damaged, ExitCode
from holdstill_cli.arguments import Commands, bytes_option, command, repository_option
from holdstill_cli.desk import Desk
from holdstill_cli.tables import facts, printable, took


def add(commands: Commands) -> None:
    """The part of the command line."""
    parser = command(
        commands,
        "verify",
        run,
        does="Check that images can be restored; all if none is named.",
        more="Exits with 4 if anything is damaged or missing.",
        example="holdstill verify --repo /backup/repo --read-data",
    )
    repository_option(parser)
    bytes_option(parser)
    parser.add_argument("images", metavar="IMAGE", nargs="*", help="an image id, the beginning of one, or `latest`")
    parser.add_argument(
        "--read-data", action="store_true", help="read every stored byte and check it, not just the lists"
    )


def run(desk: Desk) -> ExitCode:
    """Do it."""
    request = VerifyRequest(images=tuple(desk.asked.images), read_data=desk.asked.read_data)
    with desk.job() as talk:
        result = desk.engine.verify(desk.url, request, talk)
    answer = {
        "images": result.images,
        "hurt_images": result.hurt_images,
        "findings": result.findings,
        "packs": result.packs,
        "read_size": result.read_size,
        "read_data": result.read_data,
        "seconds": result.seconds,
    }
    return desk.answer(answer, _lines(result, desk), error=_damage(result))


def _damage(result: VerifyResult) -> Damaged | None:
    if not result.findings:
        return None
    return Damaged(
        f"{len(result.findings)} findings; {len(result.hurt_images)} of {len(result.images)} images are hurt",
        next_step="images that are not named above are unhurt; back up the volumes of the others again",
    )


def _lines(result: VerifyResult, desk: Desk) -> Iterator[str]:
    for finding in result.findings:
        yield printable(f"damaged: {finding.key}: {finding.problem}")
        for image in finding.images:
            yield f"  needed by image {image}"
    yield from facts(
        [
            ("images", f"{len(result.images)} checked, {len(result.hurt_images)} hurt"),
            ("packs", str(result.packs)),
            ("read", desk.measure(result.read_size)),
            ("depth", "every stored byte" if result.read_data else "lists only; --read-data reads every stored byte"),
            ("took", took(result.seconds)),
        ]
    )
