"""The entry point: understand the command line, run one command, and leave with one exit code."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

import holdstill
from holdstill.errors import Cancelled, ExitCode
from holdstill_cli.arguments import Parser, WrongUsage, json_option, repository_option, yes_option
from holdstill_cli.commands import NAMES, files
from holdstill_cli.desk import Desk
from holdstill_cli.faults import told
from holdstill_cli.interruption import Interruption
from holdstill_cli.jsonlines import JsonTalk
from holdstill_cli.streams import ReaderGone, Streams
from holdstill_cli.talk import Talk, TerminalTalk

if TYPE_CHECKING:
    from holdstill import Engine

#: the collector looks after so many new objects: while a command is loaded nothing is garbage, and all would be looked
#: through again and again
_GARBAGE: Final = 100_000


def run(make_engine: Callable[[], Engine] | None = None) -> None:
    """What the installed command calls."""
    gc.set_threshold(_GARBAGE)
    interruption = Interruption()
    interruption.watch()
    code = main(sys.argv[1:], make_engine, interruption)
    gc.freeze()  # what goes with the process need not be looked through once more
    sys.exit(code)


def main(
    arguments: Sequence[str],
    make_engine: Callable[[], Engine] | None = None,
    interruption: Interruption | None = None,
) -> int:
    """Run one command. Returns its exit code; raises nothing that a user or a disk can cause."""
    streams = Streams()
    make_talk = JsonTalk if "--json" in arguments else TerminalTalk
    talk = make_talk(streams, interruption or Interruption())
    try:
        with talk.interruption.at_once():
            code = _do(arguments, talk, make_engine or _installed_engine)
            streams.flush()
    except ReaderGone:
        code = ExitCode.NOT_DONE
    except KeyboardInterrupt:
        code = _report(Cancelled("interrupted"), talk)
    except Exception as fault:  # noqa: BLE001  # the outermost frame: nothing may leave as a traceback
        code = _report(fault, talk)
    streams.close()
    return int(code)


class _Roomy(argparse.RawDescriptionHelpFormatter):
    """Argparse measures a command's name without its indent, and breaks the line of the longest. And what the commands
    do stands beside them, however long the names of options are.
    """

    def __init__(self, prog: str) -> None:
        longest = max(map(len, NAMES))
        super().__init__(prog, max_help_position=longest + 6)
        self._action_max_length = longest + 4


def parser(among: Container[str] = NAMES) -> Parser:
    """The whole command line; or only the commands that are ``among`` some words."""
    everything = Parser(
        prog="holdstill",
        formatter_class=_Roomy,
        description="Take images of volumes while they are in use, and put them back, proven equal.",
        epilog="Start with `holdstill init --repo /backup/repo`, then `holdstill backup --repo /backup/repo VOLUME`.",
    )
    everything.add_argument("--version", action="version", version=f"holdstill {holdstill.__version__}")
    json_option(everything)
    repository_option(everything)
    yes_option(everything)
    commands = everything.add_subparsers(metavar="COMMAND", required=True, title="commands", dest="command")
    for file in files(among):
        file.add(commands)
    return everything


def _do(arguments: Sequence[str], talk: Talk, make_engine: Callable[[], Engine]) -> ExitCode:
    defaults = argparse.Namespace(json=False, yes=False, repo=None, password_file=None, password_command=None)
    try:
        asked = _understood(arguments, defaults)
    except SystemExit:  # --help and --version have printed what they were asked for
        return ExitCode.DONE
    talk.yes = asked.yes
    code: ExitCode = asked.run(Desk(asked, talk, make_engine))
    return code


def _understood(arguments: Sequence[str], defaults: argparse.Namespace) -> argparse.Namespace:
    """What was asked for. The commands that nobody named need not be loaded, unless help or a mistake lists them."""
    if {"-h", "--help"}.isdisjoint(arguments):
        with suppress(WrongUsage):
            return parser(arguments).parse_args(arguments, argparse.Namespace(**vars(defaults)))
    return parser().parse_args(arguments, defaults)


def _report(fault: BaseException, talk: Talk) -> ExitCode:
    error = told(fault)
    try:
        if talk.half_said:
            talk.complain(error)
        else:
            talk.result({}, (), error)
    except (ReaderGone, OSError):
        talk.complain(error)
    return talk.exit_code(error)


def _installed_engine() -> Engine:
    with _without_blas_threads():
        from holdstill import Engine  # brings numpy and every plugin

    # Threads that come back from the codec, a digest or the disk want the interpreter for a moment only: let none of
    # them wait for five milliseconds.
    sys.setswitchinterval(0.0005)
    return Engine()


@contextmanager
def _without_blas_threads() -> Iterator[None]:
    """Numpy's linear algebra, which nobody here uses, would start a thread for each core that spins for a while."""
    name = "OPENBLAS_NUM_THREADS"
    if name in os.environ:
        yield
        return
    os.environ[name] = "1"
    try:
        yield
    finally:
        del os.environ[name]
