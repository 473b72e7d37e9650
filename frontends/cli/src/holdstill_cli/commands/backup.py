"""``holdstill backup``: take an image of each volume."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from holdstill import BackupRequest, BackupResult, Mode, Noted, OnNoSnapshot, OnReadError, StaticMethod
from holdstill.errors import Cancelled, ExitCode, HoldstillError, UsageError
from holdstill_cli import faults
from holdstill_cli.arguments import (
    Commands,
    bytes_option,
    command,
    options_option,
    repository_option,
    size,
    space,
    yes_option,
)
from holdstill_cli.desk import Desk
from holdstill_cli.shapes import backup_answer, filesystem_name
from holdstill_cli.tables import facts, took


class VolumesNotDone(HoldstillError):
    """Some of several volumes were not imaged; their own lines say why."""

    id = "volumes.not-done"


def add(commands: Commands) -> None:
    """The part of the command line."""
    parser = command(
        commands,
        "backup",
        run,
        does="Take an image of each volume.",
        more="Only blocks in use are read, and only what is new is stored.\n"
        "Without VOLUME: the domain of the options files.",
        example="holdstill backup --repo /backup/repo /home /dev/vg/data",
    )
    parser.usage = "%(prog)s [OPTION...] [VOLUME...]"
    repository_option(parser)
    options_option(parser)
    yes_option(parser)
    bytes_option(parser)
    parser.add_argument(
        "volumes", metavar="VOLUME", nargs="*", help="a device, a mount point, or a file that holds a file system"
    )
    parser.add_argument(
        "--gap-size", metavar="SIZE", type=size, help="read along unused gaps up to this size; 0 takes every byte"
    )
    parser.add_argument("--limit-rate", metavar="SIZE", type=size, help="read at most so many bytes a second")
    parser.add_argument("--as-raw", action="store_true", help="every byte of the device, whatever is on it")
    parser.add_argument("--retention-class", metavar="NAME", help="the class by which the image is kept")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done; store nothing")
    parser.add_argument(
        "--on-read-error",
        choices=[str(choice) for choice in OnReadError],
        help="what an unreadable range means: give up (fail), or zeros and a warning (zero)",
    )
    held = parser.add_argument_group("how it is held")
    held.add_argument(
        "--together", action="store_true", help="hold all volumes before the first byte of any of them is read"
    )
    held.add_argument("--mode", choices=[str(mode) for mode in Mode], help="how to hold it still")
    held.add_argument(
        "--on-no-snapshot",
        choices=[str(choice) for choice in OnNoSnapshot],
        help="what mode auto does with a volume in use of which no snapshot can be made",
    )
    held.add_argument(
        "--static-method",
        choices=[str(method) for method in StaticMethod],
        help="how a mounted volume is made static: read-only where it is, or unmounted",
    )
    held.add_argument("--snapshot-root", metavar="VOLUME", help="read this snapshot of it, which you made and remove")
    held.add_argument("--snapshot-provider", metavar="NAME", help="who makes the snapshot: any, NAME, or none")
    held.add_argument("--provider-settings", metavar="SETTINGS", help="what one provider alone understands")
    held.add_argument(
        "--snapshot-cache-size",
        metavar="SIZE|PERCENT",
        type=space,
        help="space for a snapshot's old blocks: a size, or like 20%%",
    )
    held.add_argument(
        "--snapshot-cache-growth",
        action=argparse.BooleanOptionalAction,
        help="may that space be made larger when it is nearly full",
    )
    held.add_argument(
        "--changed-blocks",
        action=argparse.BooleanOptionalAction,
        help="keep the snapshot where it can tell what changed (LVM2 thin), and read only that the next time",
    )
    held.add_argument("--freeze-limit", metavar="SECONDS", type=float, help="how long a freeze may last")
    held.add_argument("--presnapshotcmd", metavar="COMMAND", help="run this before the volume is held")
    held.add_argument("--postsnapshotcmd", metavar="COMMAND", help="run this as soon as its users may go on")
    held.add_argument("--command-timeout", metavar="SECONDS", type=float, help="how long each of these two may take")


def run(desk: Desk) -> ExitCode:
    """Do it."""
    root = desk.asked.snapshot_root
    if root and len(desk.asked.volumes) != 1:
        raise UsageError("a snapshot is of one volume", subject=root, next_step="name the volume of --snapshot-root")
    volumes = desk.asked.volumes or _domain(desk)
    if len(volumes) > 1:
        return _together(volumes, desk) if desk.asked.together else _each(volumes, desk)
    result = _backup(volumes[0], desk)
    return desk.answer(backup_answer(result), told(result, desk))


def _domain(desk: Desk) -> list[str]:
    domain = desk.engine.domain()
    for volume, place in domain.excluded.items():
        desk.talk.tell(Noted(f"left out, says {place}", volume))
    return list(domain.volumes)


def _each(volumes: list[str], desk: Desk) -> ExitCode:
    """One volume after the other, each whatever became of the one before; only an interruption ends it all."""
    undone = []
    for volume in volumes:
        try:
            result = _backup(volume, desk)
        except Cancelled:
            raise
        except (HoldstillError, OSError, MemoryError) as fault:
            undone.append(volume)
            desk.talk.part({"volume": volume}, (), faults.told(fault))
        else:
            desk.talk.part(backup_answer(result), [*told(result, desk), ""], None)
    return desk.answer({}, (), error=_not_done(undone, len(volumes)))


def _together(volumes: list[str], desk: Desk) -> ExitCode:
    """All are held before the first byte is read."""
    undone = []
    with desk.job() as talk:
        requests = [_request(volume, desk) for volume in volumes]
        answers = desk.engine.backup_together(desk.url, requests, talk)
    for volume, answer in zip(volumes, answers, strict=True):
        if isinstance(answer, HoldstillError):
            undone.append(volume)
            desk.talk.part({"volume": volume}, (), faults.told(answer))
        else:
            talk.heed(answer.warnings)
            desk.talk.part(backup_answer(answer), [*told(answer, desk), ""], None)
    return desk.answer({}, (), error=_not_done(undone, len(volumes)))


def _backup(volume: str, desk: Desk) -> BackupResult:
    with desk.job() as talk:
        result = desk.engine.backup(desk.url, _request(volume, desk), talk)
    talk.heed(result.warnings)
    return result


def _not_done(undone: list[str], asked: int) -> HoldstillError | None:
    if not undone:
        return None
    return VolumesNotDone(
        f"{len(undone)} of {asked} volumes were not imaged: {', '.join(undone)}",
        next_step="the reason for each was said above; run the command again for these",
    )


def _request(volume: str, desk: Desk) -> BackupRequest:
    """What was not given stays open: the preferences say it."""
    asked = desk.asked
    return BackupRequest(
        volume=volume,
        mode=asked.mode and Mode(asked.mode),
        gap_size=asked.gap_size,
        limit_rate=asked.limit_rate,
        dry_run=asked.dry_run,
        as_raw=asked.as_raw,
        on_read_error=asked.on_read_error and OnReadError(asked.on_read_error),
        on_no_snapshot=asked.on_no_snapshot and OnNoSnapshot(asked.on_no_snapshot),
        snapshot_root=asked.snapshot_root,
        snapshot_provider=asked.snapshot_provider,
        provider_settings=asked.provider_settings,
        retention_class=asked.retention_class,
        static_method=asked.static_method and StaticMethod(asked.static_method),
        cache_size=asked.snapshot_cache_size,
        cache_growth=asked.snapshot_cache_growth,
        changed_blocks=asked.changed_blocks,
        freeze_limit=asked.freeze_limit,
        pre_command=asked.presnapshotcmd,
        post_command=asked.postsnapshotcmd,
        command_limit=asked.command_timeout,
    )


def told(result: BackupResult, desk: Desk) -> Iterator[str]:
    """A backup's result, for people."""
    yield from facts(
        [
            ("volume", result.volume.path),
            ("image", result.image or "none: this was a dry run"),
            ("file system", filesystem_name(result.volume) or "not known"),
            ("held", f"{result.mode} ({result.consistency})"),
            ("whole volume", result.whole_volume_because or ""),
            ("volume size", desk.measure(result.sizes.volume_size)),
            ("used", desk.measure(result.sizes.used_size)),
            ("read", desk.measure(result.sizes.read_size)),
            ("stored", f"{desk.measure(result.sizes.stored_size)}, {_chunks(result)}"),
            ("resumed", _resumed(result, desk)),
            ("image size", desk.measure(result.sizes.image_size)),
            ("unreadable", _unread(result, desk)),
            ("took", took(result.seconds)),
            *(("note", note) for note in result.notes),
        ]
    )


def _chunks(result: BackupResult) -> str:
    return f"{result.new_chunks} new chunks, {result.reused_chunks} known already"


def _resumed(result: BackupResult, desk: Desk) -> str:
    if not result.resumed_size:
        return ""
    part, whole = desk.measure(result.resumed_size), desk.measure(result.sizes.image_size)
    return f"{part} of {whole} was stored already, by a run that ended without an image"


def _unread(result: BackupResult, desk: Desk) -> str:
    if not result.unread:
        return ""
    lost = sum(hole.length for hole in result.unread)
    return f"{desk.measure(lost)} in {len(result.unread)} ranges, zeros in the image"
