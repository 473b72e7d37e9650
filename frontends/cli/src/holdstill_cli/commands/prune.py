"""``holdstill prune``: forget what a policy does not keep, and give back what no image needs."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

from holdstill import Fate, PruneRequest, PruneResult, Retention, Versions
from holdstill.errors import ExitCode
from holdstill_cli.arguments import (
    Commands,
    bytes_option,
    command,
    duration,
    repository_option,
    share,
    yes_option,
)
from holdstill_cli.desk import Desk
from holdstill_cli.tables import facts, printable, table, took

_SLOTS = ("last", "hourly", "daily", "weekly", "monthly", "yearly")


def add(commands: Commands) -> None:
    """The part of the command line."""
    parser = command(
        commands,
        "prune",
        run,
        does="Delete what a policy does not keep, and give back the space that no image needs.",
        more="Safe beside running backups. Without a policy no image is deleted.",
        example="holdstill prune --repo /backup/repo --keep-daily 14 --keep-monthly 12 --dry-run",
    )
    repository_option(parser)
    yes_option(parser)
    bytes_option(parser)
    for name in _SLOTS:
        meaning = (
            "the last N images" if name == "last" else f"the last image of each of N {name.removesuffix('ly')} spans"
        )
        parser.add_argument(
            f"--keep-{name}", metavar="N", type=_count, default=0, help=f"keep {meaning} of each volume"
        )
    parser.add_argument(
        "--keep-within", metavar="SPAN", type=duration, help="keep what is no older than the newest by SPAN"
    )
    parser.add_argument(
        "--verexists", metavar="N", type=_limit, help="keep N versions of each volume (TSM's VERExists)"
    )
    parser.add_argument("--verdeleted", metavar="N", type=_limit, help="keep N versions of a volume that is gone")
    parser.add_argument("--retextra", metavar="DAYS", type=_limit, help="keep versions that are not the newest so long")
    parser.add_argument(
        "--retonly", metavar="DAYS", type=_limit, help="keep the last version of a volume that is gone so long"
    )
    parser.add_argument("--gone", metavar="VOLUME", action="append", default=[], help="this volume is no more")
    parser.add_argument(
        "--volume", metavar="VOLUME", action="append", default=[], help="apply the policy to this volume only"
    )
    parser.add_argument(
        "--repack-below",
        metavar="SHARE",
        type=share,
        default=0.5,
        help="take packs apart of which less is needed (50%%)",
    )
    parser.add_argument("--fence", action="store_true", help="do not wait for backups under way: they begin again")
    parser.add_argument("--executor", metavar="URL", help="who takes packs apart: dask://HOST:8786")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and why; do nothing")


def run(desk: Desk) -> ExitCode:
    """Do it."""
    asked = desk.asked
    request = PruneRequest(
        retention=_retention(asked),
        volumes=frozenset(asked.volume),
        repack_below=asked.repack_below,
        fence=asked.fence,
        executor=asked.executor,
        dry_run=asked.dry_run,
    )
    with desk.job() as talk:
        result = desk.engine.prune(desk.url, request, talk)
    desk.talk.heed(result.warnings)
    answer = {
        "images": result.images,
        "deleted_packs": result.deleted_packs,
        "deleted_size": result.deleted_size,
        "waiting_packs": result.waiting_packs,
        "waiting_size": result.waiting_size,
        "kept_packs": result.kept_packs,
        "kept_size": result.kept_size,
        "repack_read_size": result.repack_read_size,
        "repack_stored_size": result.repack_stored_size,
        "waits_for": result.waits_for,
        "dry_run": result.dry_run,
        "locked_packs": result.locked_packs,
        "locked_until": result.locked_until,
        "seconds": result.seconds,
        "warnings": result.warnings,
    }
    return desk.answer(answer, _lines(result, desk))


def _retention(asked: argparse.Namespace) -> Retention | None:
    """None if no rule was given."""
    limits = {name: getattr(asked, name) for name in ("verexists", "verdeleted", "retextra", "retonly")}
    given = {name: value for name, value in limits.items() if value is not None}
    names = {"verexists": "exists", "verdeleted": "deleted", "retextra": "extra_days", "retonly": "only_days"}
    versions = None
    if given or asked.gone:
        told = {names[name]: None if value < 0 else value for name, value in given.items()}
        versions = Versions(**told, gone=tuple(asked.gone))
    slots = {name: getattr(asked, f"keep_{name}") for name in _SLOTS}
    retention = Retention(**slots, within=asked.keep_within, versions=versions)
    return None if retention.keeps_nothing else retention


def _count(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) > 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of images")
    return int(text)


def _limit(text: str) -> int:
    """A number, or -1 for TSM's ``nolimit``."""
    return -1 if text.lower() == "nolimit" else _count(text)


def _lines(result: PruneResult, desk: Desk) -> Iterator[str]:
    yield from _verdicts(result.images)
    if result.dry_run:
        yield "nothing was done; this is what would be:"
    yield from facts(
        [
            ("given back", f"{desk.measure(result.deleted_size)} in {result.deleted_packs} packs"),
            ("copied", f"{desk.measure(result.repack_stored_size)} out of packs that are mostly not needed"),
            (
                "waiting",
                f"{desk.measure(result.waiting_size)} in {result.waiting_packs} packs" if result.waiting_packs else "",
            ),
            ("locked", f"{result.locked_packs} packs until {result.locked_until}" if result.locked_packs else ""),
            ("waits for", ", ".join(result.waits_for)),
            ("kept", f"{desk.measure(result.kept_size)} in {result.kept_packs} packs"),
            ("took", took(result.seconds)),
        ]
    )


def _verdicts(images: Sequence[Fate]) -> Iterator[str]:
    if images:
        rows = [
            (
                each.image[:12],
                each.taken,
                each.host,
                printable(each.volume),
                "keep" if each.kept else "delete",
                each.reason,
            )
            for each in images
        ]
        yield from table(("IMAGE", "TAKEN", "HOST", "VOLUME", "", "WHY"), rows)
