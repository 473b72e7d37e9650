"""``holdstill backup``: take an image of each volume."""

from __future__ import annotations

from collections.abc import Iterator

from holdstill import BackupRequest, BackupResult, Mode, OnNoSnapshot, OnReadError, StaticMethod
from holdstill.errors import Cancelled, ExitCode, HoldstillError
from holdstill_cli.arguments import Commands, bytes_option, command, repository_option, size, yes_option
from holdstill_cli.desk import Desk
from holdstill_cli.faults import told
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
        more="Only blocks in use are read, and only what is new is stored.",
        example="holdstill backup --repo /backup/repo /home /dev/vg/data",
    )
    repository_option(parser)
    yes_option(parser)
    bytes_option(parser)
    parser.add_argument(
        "volumes", metavar="VOLUME", nargs="+", help="a device, a mount point, or a file that holds a file system"
    )
    parser.add_argument(
        "--gap-size", metavar="SIZE", type=size, help="read along unused gaps up to this size; 0 takes every byte"
    )
    parser.add_argument("--limit-rate", metavar="SIZE", type=size, help="read at most so many bytes a second")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done; store nothing")
    parser.add_argument(
        "--on-read-error",
        choices=[str(choice) for choice in OnReadError],
        help="what an unreadable range means: give up (fail), or zeros and a warning (zero)",
    )
    held = parser.add_argument_group("how it is held")
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
    held.add_argument("--freeze-limit", metavar="SECONDS", type=float, help="how long a freeze may last")
    held.add_argument("--presnapshotcmd", metavar="COMMAND", help="run this before the volume is held")
    held.add_argument("--postsnapshotcmd", metavar="COMMAND", help="run this as soon as its users may go on")
    held.add_argument("--command-timeout", metavar="SECONDS", type=float, help="how long each of these two may take")


def run(desk: Desk) -> ExitCode:
    """Do it."""
    if len(desk.asked.volumes) > 1:
        return _each(desk)
    result = _backup(desk.asked.volumes[0], desk)
    return desk.answer(backup_answer(result), _lines(result, desk))


def _each(desk: Desk) -> ExitCode:
    """One volume after the other, each whatever became of the one before; only an interruption ends it all."""
    undone = []
    for volume in desk.asked.volumes:
        try:
            result = _backup(volume, desk)
        except Cancelled:
            raise
        except (HoldstillError, OSError, MemoryError) as fault:
            undone.append(volume)
            desk.talk.part({"volume": volume}, (), told(fault))
        else:
            desk.talk.part(backup_answer(result), [*_lines(result, desk), ""], None)
    return desk.answer({}, (), error=_not_done(undone, desk))


def _backup(volume: str, desk: Desk) -> BackupResult:
    with desk.job() as talk:
        result = desk.engine.backup(desk.url, _request(volume, desk), talk)
    talk.heed(result.warnings)
    return result


def _not_done(undone: list[str], desk: Desk) -> HoldstillError | None:
    if not undone:
        return None
    return VolumesNotDone(
        f"{len(undone)} of {len(desk.asked.volumes)} volumes were not imaged: {', '.join(undone)}",
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
        on_read_error=asked.on_read_error and OnReadError(asked.on_read_error),
        on_no_snapshot=asked.on_no_snapshot and OnNoSnapshot(asked.on_no_snapshot),
        static_method=asked.static_method and StaticMethod(asked.static_method),
        freeze_limit=asked.freeze_limit,
        pre_command=asked.presnapshotcmd,
        post_command=asked.postsnapshotcmd,
        command_limit=asked.command_timeout,
    )


def _lines(result: BackupResult, desk: Desk) -> Iterator[str]:
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
            ("image size", desk.measure(result.sizes.image_size)),
            ("unreadable", _unread(result, desk)),
            ("took", took(result.seconds)),
            *(("note", note) for note in result.notes),
        ]
    )


def _chunks(result: BackupResult) -> str:
    return f"{result.new_chunks} new chunks, {result.reused_chunks} known already"


def _unread(result: BackupResult, desk: Desk) -> str:
    if not result.unread:
        return ""
    lost = sum(hole.length for hole in result.unread)
    return f"{desk.measure(lost)} in {len(result.unread)} ranges, zeros in the image"
