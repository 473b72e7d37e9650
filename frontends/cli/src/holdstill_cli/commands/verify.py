"""``holdstill verify``: check what is stored."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from typing import Final

from holdstill import VerifyRequest, VerifyResult
from holdstill.errors import Damaged, ExitCode, UsageError
from holdstill_cli.arguments import Commands, bytes_option, command, duration, repository_option, share
from holdstill_cli.desk import Desk
from holdstill_cli.tables import facts, printable, took

#: so many ranges of an image are printed
_MOST_RANGES: Final = 20


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
        "--read-data",
        metavar="SHARE",
        nargs="?",
        const="100%",
        help="read every stored byte and check it, not just the lists; or 5%% of them, those read longest ago",
    )
    parser.add_argument(
        "--max-age",
        metavar="SPAN",
        type=duration,
        help="with --read-data: pass over what was read, and good, so lately",
    )
    parser.add_argument(
        "--time-limit",
        metavar="SPAN",
        type=duration,
        help="with --read-data: read no more after so long; go on next time",
    )

    parser.add_argument("--executor", metavar="URL", help="with --read-data: who reads: dask://HOST:8786")


def run(desk: Desk) -> ExitCode:
    """Do it."""
    asked = desk.asked
    if asked.read_data is None and (asked.max_age or asked.time_limit):
        raise UsageError("--max-age and --time-limit say how much data to read", next_step="add --read-data")
    if asked.read_data is None and asked.executor:
        raise UsageError("--executor says who reads the data", next_step="add --read-data")
    images, read_data = asked.images, asked.read_data
    if read_data is not None and not read_data.endswith("%"):
        images, read_data = [read_data, *images], "100%"  # an image's name that follows the option
    request = VerifyRequest(
        images=tuple(images),
        read_data=read_data is not None,
        share=_share(read_data or "100%"),
        max_age=asked.max_age,
        budget=asked.time_limit.total_seconds() if asked.time_limit else None,
        executor=asked.executor,
    )
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
        "left_packs": result.left_packs,
        "hurt_ranges": [
            {"image": hurt.image, "volume": hurt.volume, "extents": [list(run) for run in hurt.ranges]}
            for hurt in result.hurt_ranges
        ],
    }
    return desk.answer(answer, _lines(result, desk), error=_damage(result))


def _share(text: str) -> float:
    try:
        return share(text)
    except argparse.ArgumentTypeError as error:
        raise UsageError(str(error)) from error


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
    for hurt in result.hurt_ranges:
        yield printable(f"hurt: image {hurt.image} of {hurt.volume}")
        for offset, length in itertools.islice(hurt.ranges, _MOST_RANGES):
            yield f"  {length} bytes at {offset}"
        if len(hurt.ranges) > _MOST_RANGES:
            yield f"  and {len(hurt.ranges) - _MOST_RANGES} more ranges; --json has them all"
    yield from facts(
        [
            ("images", f"{len(result.images)} checked, {len(result.hurt_images)} hurt"),
            ("packs", str(result.packs)),
            ("read", desk.measure(result.read_size)),
            ("depth", _depth(result)),
            ("took", took(result.seconds)),
        ]
    )


def _depth(result: VerifyResult) -> str:
    if not result.read_data:
        return "lists only; --read-data reads every stored byte"
    return f"read; {result.left_packs} packs left for another time" if result.left_packs else "every stored byte"
