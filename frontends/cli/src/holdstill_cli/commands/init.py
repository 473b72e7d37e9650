"""``holdstill init``: make a repository."""

from __future__ import annotations

from holdstill.errors import ExitCode, UsageError
from holdstill_cli.arguments import Commands, command, duration, repository_option, size
from holdstill_cli.desk import Desk
from holdstill_cli.tables import facts, human, took


def add(commands: Commands) -> None:
    """The part of the command line."""
    parser = command(
        commands,
        "init",
        run,
        does="Make a new repository.",
        more="Images are stored in it. Nothing that is there already is touched.",
        example="holdstill init --repo /backup/repo",
    )
    repository_option(parser)
    parser.add_argument(
        "--chunk-size", metavar="SIZE", type=size, help="the piece that is stored once (a power of two)"
    )
    parser.add_argument("--encrypt", action="store_true", help="seal everything in it; asks for a password")
    parser.add_argument("--label", metavar="TEXT", default="", help="what the password's key is called (default: none)")
    parser.add_argument("--digest", metavar="NAME", help="how pieces are named: blake3 or blake2b")
    parser.add_argument(
        "--lock-for",
        metavar="SPAN",
        type=duration,
        help="nobody can delete what is stored for so long (30d); needs a bucket with object lock",
    )


def run(desk: Desk) -> ExitCode:
    """Do it."""
    if not desk.asked.encrypt and (desk.asked.label or desk.passwords.is_given(desk.url)):
        raise UsageError(
            "a password or a label was given, and not --encrypt",
            next_step="add --encrypt, or leave the password away: what is not sealed, everybody can read",
        )
    password = desk.passwords.new_password(desk.url) if desk.asked.encrypt else None
    made = desk.engine.init(
        desk.url,
        chunk_size=desk.asked.chunk_size,
        digest=desk.asked.digest,
        password=password,
        label=desk.asked.label,
        lock_for=desk.asked.lock_for,
    )
    answer = {
        "url": made.url,
        "repository_id": made.repository_id,
        "chunk_size": made.chunk_size,
        "digest": made.digest,
        "single_writer": made.single_writer,
        "durability": made.durability,
        "sealed": made.is_sealed,
        "lock_for": made.lock_for,
    }
    lines = facts(
        [
            ("repository", made.url),
            ("id", made.repository_id),
            ("chunk size", human(made.chunk_size)),
            ("digest", made.digest),
            ("durability", str(made.durability)),
            ("sealed", "yes; without a password nobody can read it" if made.is_sealed else "no"),
            ("locked for", took(made.lock_for) if made.lock_for else ""),
            ("writers", "one at a time" if made.single_writer else "any number at once"),
        ]
    )
    return desk.answer(answer, lines)
