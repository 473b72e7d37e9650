"""The words of the command line: the parser every command is built on, and the options that several share."""

from __future__ import annotations

import argparse
import datetime as dt
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from holdstill.errors import ExitCode, UsageError
from holdstill.model import durations, sizes
from holdstill_cli.streams import Streams

if TYPE_CHECKING:
    from holdstill_cli.desk import Desk

Run: TypeAlias = Callable[["Desk"], ExitCode]


class WrongUsage(UsageError):
    """The command line itself could not be understood. ``usage`` is the parser's own short reminder."""

    def __init__(self, message: str, *, usage: str, next_step: str) -> None:
        super().__init__(message, next_step=next_step)
        self.usage = usage


class Parser(argparse.ArgumentParser):
    """An argument parser that raises instead of leaving, and takes no abbreviated options.

    An abbreviation that is unique today is ambiguous after the next release, and scripts would break.
    """

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401  # handed on to argparse
        settings.setdefault("allow_abbrev", False)
        settings.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(**settings)

    def error(self, message: str) -> NoReturn:
        """Raise ``WrongUsage``."""
        raise WrongUsage(message, usage=self.format_usage().rstrip(), next_step=f"see `{self.prog} --help`")

    def _print_message(self, message: str, file: object = None) -> None:
        # Help and version come this way. argparse's own method hides a full disk and a reader that went away.
        Streams.out(message)


Commands: TypeAlias = "argparse._SubParsersAction[Parser]"  # noqa: SLF001  # it has no public name


def command(commands: Commands, name: str, run: Run, *, does: str, more: str = "", example: str) -> Parser:
    """Add one command: ``does`` is its line in the list of commands, ``more`` follows in its own help text."""
    description = f"{does}\n\n{more}" if more else does
    parser = commands.add_parser(name, help=does, description=description, epilog=f"example:\n  {example}")
    parser.set_defaults(run=run)
    json_option(parser)
    return parser


def json_option(parser: argparse.ArgumentParser) -> None:
    """``--json``."""
    parser.add_argument(
        "--json", action="store_true", default=argparse.SUPPRESS, help="print JSON lines; the last one is the result"
    )


def repository_option(parser: argparse.ArgumentParser) -> None:
    """``--repo``; the environment variable stands in for it."""
    parser.add_argument(
        "--repo",
        metavar="PLACE",
        default=argparse.SUPPRESS,
        help="the repository: a folder or URL (default: $HOLDSTILL_REPO)",
    )
    parser.add_argument(
        "--password-file",
        metavar="FILE",
        default=argparse.SUPPRESS,
        help="a sealed repository's password is in this file (default: $HOLDSTILL_PASSWORD_FILE)",
    )
    parser.add_argument(
        "--password-command",
        metavar="COMMAND",
        default=argparse.SUPPRESS,
        help="this command prints it (default: $HOLDSTILL_PASSWORD_COMMAND)",
    )


def options_option(parser: argparse.ArgumentParser) -> None:
    """``--options``."""
    parser.add_argument("--options", metavar="FILE", help="read this options file, ours or a dsm.opt, and no other")


def yes_option(parser: argparse.ArgumentParser) -> None:
    """``--yes``."""
    parser.add_argument(
        "--yes", action="store_true", default=argparse.SUPPRESS, help="answer every question with yes; ask nothing"
    )


def bytes_option(parser: argparse.ArgumentParser) -> None:
    """``--bytes``."""
    parser.add_argument("--bytes", action="store_true", help="print sizes as exact numbers of bytes")


def image_argument(parser: argparse.ArgumentParser) -> None:
    """``IMAGE`` and the ``--volume`` that tells whose latest."""
    parser.add_argument("image", metavar="IMAGE", help="an image id, the beginning of one, or `latest`")
    parser.add_argument("--volume", metavar="VOLUME", help="with `latest`: the latest image of this volume")


def space(text: str) -> str:
    """A size, or a share of a volume like ``20%``, as ``holdstill.model.sizes`` reads them."""
    try:
        return sizes.space(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def client_options() -> list[str]:
    """The levels of backup clients that the rules on volume managers tell apart."""
    return ["5.3", "5.4"]


def size(text: str) -> int:
    """Bytes from ``4096``, ``64K``, ``1M``, ``2GiB``, as ``holdstill.model.sizes`` reads them."""
    try:
        return sizes.size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def duration(text: str) -> dt.timedelta:
    """A span of time from ``30m``, ``26h``, ``30d``, as ``holdstill.model.durations`` reads them."""
    try:
        return durations.duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def share(text: str) -> float:
    """0 to 1, from ``5%``."""
    number = text.removesuffix("%")
    if number == text or not number.isascii() or not number.isdecimal() or int(number) > 100:
        raise argparse.ArgumentTypeError(f"{text!r} is no share; write it like 5%")
    return int(number) / 100
