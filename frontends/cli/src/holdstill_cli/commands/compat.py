"""``holdstill compat``: which client may image which kind of volume, and where such an image may go."""

from __future__ import annotations

from typing import Final

from holdstill import CompatQuestion, Mode, Operation
from holdstill.errors import ExitCode, UsageError
from holdstill_cli.arguments import Commands, client_options, command
from holdstill_cli.desk import Desk
from holdstill_cli.tables import facts, table

#: the ways to hold a volume that the rules tell apart
MODES: Final = [str(mode) for mode in (Mode.STATIC, Mode.DYNAMIC, Mode.SNAPSHOT)]
_MANAGERS: Final = ["lvm1", "lvm2"]
_NEEDED: Final = ("client", "operation", "source")


def add(commands: Commands) -> None:
    """The part of the command line."""
    parser = command(
        commands,
        "compat",
        run,
        does="Say which client may image which kind of volume.",
        more="Asked about nothing in particular, it prints the whole table. Our engine counts as client 5.4.",
        example="holdstill compat --client 5.3 --operation restore --from lvm1 --to lvm2",
    )
    parser.add_argument("--client", choices=client_options(), help="5.3 and all before it, or 5.4 and all after it")
    parser.add_argument("--operation", choices=[str(each) for each in Operation], help="what is to be done")
    parser.add_argument("--from", dest="source", choices=_MANAGERS, help="the volume manager of what is imaged")
    parser.add_argument("--to", dest="target", choices=_MANAGERS, help="the volume manager of what is restored to")
    parser.add_argument("--raw", action="store_true", help="a volume without a file system")
    parser.add_argument("--mode", choices=MODES, help="how it is held, or was; without it: in whatever way may be")


def run(desk: Desk) -> ExitCode:
    """Do it."""
    asked = desk.asked
    if not any((asked.client, asked.operation, asked.source, asked.target, asked.raw, asked.mode)):
        rules = desk.engine.compat_table()
        return desk.answer({"headings": rules.headings, "rows": rules.rows}, table(rules.headings, rules.rows))
    if missing := [name for name in _NEEDED if getattr(asked, name) is None]:
        options = ", ".join("--from" if name == "source" else f"--{name}" for name in missing)
        raise UsageError(f"the question is not complete without {options}", next_step="see `holdstill compat --help`")
    question = CompatQuestion(
        client=asked.client,
        operation=asked.operation,
        source=asked.source,
        target=asked.target,
        raw=asked.raw,
        mode=asked.mode,
    )
    verdict = desk.engine.compat(question)
    answer = {"allowed": verdict.allowed, "reason": verdict.reason}
    return desk.answer(answer, facts([("allowed", "yes" if verdict.allowed else "no"), ("reason", verdict.reason)]))
