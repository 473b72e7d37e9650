"""``holdstill restore``: put an image back, and prove it."""

from __future__ import annotations

import argparse

from holdstill import RestoreRequest, RestoreResult
from holdstill.errors import ExitCode
from holdstill_cli.arguments import (
    Commands,
    bytes_option,
    command,
    image_argument,
    options_option,
    repository_option,
    yes_option,
)
from holdstill_cli.desk import Desk
from holdstill_cli.tables import facts, took


def add(commands: Commands) -> None:
    """The part of the command line."""
    parser = command(
        commands,
        "restore",
        run,
        does="Put an image back, and prove that it is equal.",
        more="Nothing is written before the target was looked at and the question answered.",
        example="holdstill restore --repo /backup/repo 3f9ac2d1 --to /dev/vg/home",
    )
    repository_option(parser)
    options_option(parser)
    yes_option(parser)
    bytes_option(parser)
    image_argument(parser)
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--to", metavar="VOLUME", help="overwrite this volume")
    target.add_argument("--to-file", metavar="FILE", help="write this file, sparse")
    target.add_argument("--to-new-lv", metavar="VG/NAME", help="make this logical volume first, large enough")
    parser.add_argument(
        "--proof", action=argparse.BooleanOptionalAction, help="read the target back and compare, or do not"
    )
    parser.add_argument("--resume", action="store_true", help="write only what is not on the target already")
    parser.add_argument(
        "--unmount", action="store_true", help="if the target is mounted: unmount it, and mount it again"
    )
    parser.add_argument("--fsck", action="store_true", help="then check its file system, and mend what is found")


def run(desk: Desk) -> ExitCode:
    """Do it."""
    request = RestoreRequest(
        image=desk.asked.image,
        of_volume=desk.asked.volume,
        to_volume=desk.asked.to,
        to_file=desk.asked.to_file,
        proof=desk.asked.proof,
        unmount=desk.asked.unmount,
        fsck=desk.asked.fsck,
        to_new_volume=desk.asked.to_new_lv,
        resume=desk.asked.resume,
    )
    with desk.job() as talk:
        result = desk.engine.restore(desk.url, request, talk)
    answer = {
        "image": result.image,
        "target": result.target,
        "volume_size": result.volume_size,
        "written_size": result.written_size,
        "kept_size": result.kept_size,
        "proved": result.proved,
        "seconds": result.seconds,
        "fsck": result.fsck
        and {"state": result.fsck.state, "said": result.fsck.said, "commands": result.fsck.commands},
        "mounted": result.mounted,
        "notes": result.notes,
        "warnings": result.warnings,
    }
    lines = facts(
        [
            ("image", result.image),
            ("restored to", result.target),
            ("volume size", desk.measure(result.volume_size)),
            ("written", desk.measure(result.written_size)),
            ("kept", _kept(result, desk)),
            ("proof", "read back and equal" if result.proved else "none: it was not read back"),
            ("file system", f"{result.fsck.state}: {result.fsck.said}" if result.fsck else ""),
            ("mounted", ", ".join(result.mounted)),
            ("took", took(result.seconds)),
            *(("note", note) for note in result.notes),
        ]
    )
    desk.talk.heed(result.warnings)
    return desk.answer(answer, lines)


def _kept(result: RestoreResult, desk: Desk) -> str:
    if not desk.asked.resume:
        return ""
    return f"{desk.measure(result.kept_size)} of {desk.measure(result.volume_size)} was there already"
