"""``holdstill copy``: copy images to another repository."""

from __future__ import annotations

from collections.abc import Iterator

from holdstill import CopyRequest, CopyResult, ImageCopy
from holdstill.errors import Damaged, ExitCode
from holdstill_cli.arguments import Commands, bytes_option, command, duration, repository_option
from holdstill_cli.desk import Desk
from holdstill_cli.passwords import GivenPasswords, TwoPasswords
from holdstill_cli.tables import facts, printable, table, took


def add(commands: Commands) -> None:
    """The part of the command line."""
    parser = command(
        commands,
        "copy",
        run,
        does="Copy images to another repository; all if none is named.",
        more="What the other repository has already is not sent again. Safe beside backups and prunes of both.",
        example="holdstill copy --repo /backup/repo --to-repo sftp://vault/repo --since 7d",
    )
    repository_option(parser)
    bytes_option(parser)
    parser.add_argument("images", metavar="IMAGE", nargs="*", help="an image id, the beginning of one, or `latest`")
    parser.add_argument("--to-repo", metavar="PLACE", required=True, help="the other repository: a folder or URL")
    parser.add_argument(
        "--to-password-file", metavar="FILE", help="its password is in it (default: $HOLDSTILL_TO_PASSWORD_FILE)"
    )
    parser.add_argument(
        "--to-password-command",
        metavar="COMMAND",
        help="this command prints its password (default: $HOLDSTILL_TO_PASSWORD_COMMAND)",
    )
    parser.add_argument("--volume", metavar="VOLUME", help="images of this volume only")
    parser.add_argument("--since", metavar="SPAN", type=duration, help="images that are no older")
    parser.add_argument("--executor", metavar="URL", help="who reads and stores: dask://HOST:8786")
    parser.add_argument("--dry-run", action="store_true", help="say what would be copied; do nothing")


def run(desk: Desk) -> ExitCode:
    """Do it."""
    asked = desk.asked
    request = CopyRequest(
        to_url=asked.to_repo,
        images=tuple(asked.images),
        of_volume=asked.volume,
        since=asked.since,
        executor=asked.executor,
        dry_run=asked.dry_run,
    )
    given = GivenPasswords(
        asked.to_password_file, asked.to_password_command, desk.talk.secret, variable="HOLDSTILL_TO_PASSWORD"
    )
    desk.engine.passwords = TwoPasswords(desk.passwords, asked.to_repo, given)
    with desk.job() as talk:
        result = desk.engine.copy(desk.url, request, talk)
    answer = {
        "to_repository": result.to_repository,
        "copies": result.copies,
        "dry_run": result.dry_run,
        "seconds": result.seconds,
    }
    return desk.answer(answer, _lines(result, desk), error=_not_copied(result))


def _not_copied(result: CopyResult) -> Damaged | None:
    failed = [copy.image[:12] for copy in result.copies if copy.failed]
    if not failed:
        return None
    return Damaged(
        f"{len(failed)} of {len(result.copies)} images were not copied: {', '.join(failed)}",
        next_step="`holdstill verify` says what is damaged; the others were copied",
    )


def _lines(result: CopyResult, desk: Desk) -> Iterator[str]:
    if result.copies:
        rows = [
            (
                copy.image[:12],
                copy.taken,
                copy.host,
                printable(copy.volume),
                copy.copy[:12] if copy.copy else "",
                _became(copy, desk),
            )
            for copy in result.copies
        ]
        yield from table(("IMAGE", "TAKEN", "HOST", "VOLUME", "COPY", ""), rows)
    if result.dry_run:
        yield "nothing was done; this is what would be"
    fresh = [copy for copy in result.copies if copy.copy and not copy.already]
    yield from facts(
        [
            ("copied", f"{len(fresh)} of {len(result.copies)} images"),
            ("read", desk.measure(sum(copy.read_size for copy in fresh))),
            ("stored", desk.measure(sum(copy.stored_size for copy in fresh))),
            ("took", took(result.seconds)),
        ]
    )


def _became(copy: ImageCopy, desk: Desk) -> str:
    if copy.already:
        return "there already"
    if copy.failed:
        return printable(f"failed: {copy.failed}")
    if copy.copy is None:
        return "would be copied"
    return f"{desk.measure(copy.stored_size)} stored, {copy.new_chunks} new chunks, {copy.reused_chunks} known already"
