"""``holdstill init``: make a repository."""

from __future__ import annotations

from holdstill.errors import ExitCode
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
    parser.add_argument("--digest", metavar="NAME", help="how pieces are named: blake3 or blake2b")
    parser.add_argument(
        "--lock-for",
        metavar="SPAN",
        type=duration,
        help="nobody can delete what is stored for so long (30d); needs a bucket with object lock",
    )


def run(desk: Desk) -> ExitCode:
    """Do it."""
    asked = desk.asked
    made = desk.engine.init(desk.url, chunk_size=asked.chunk_size, digest=asked.digest, lock_for=asked.lock_for)
    answer = {
        "url": made.url,
        "repository_id": made.repository_id,
        "chunk_size": made.chunk_size,
        "digest": made.digest,
        "single_writer": made.single_writer,
        "durability": made.durability,
        "lock_for": made.lock_for,
    }
    lines = facts(
        [
            ("repository", made.url),
            ("id", made.repository_id),
            ("chunk size", human(made.chunk_size)),
            ("digest", made.digest),
            ("durability", str(made.durability)),
            ("locked for", took(made.lock_for) if made.lock_for else ""),
            ("writers", "one at a time" if made.single_writer else "any number at once"),
        ]
    )
    return desk.answer(answer, lines)
