"""``holdstill preferences``: what is in force and where it is from, and setting it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from holdstill.errors import ExitCode, UsageError
from holdstill.model.events import Warned
from holdstill_cli.arguments import Commands, command, options_option
from holdstill_cli.desk import Desk
from holdstill_cli.jsonlines import dumps
from holdstill_cli.tables import printable, table

if TYPE_CHECKING:
    from holdstill import Effective, Unknown

_SET: Final = "set"
_CONVERT: Final = "convert"


def add(commands: Commands) -> None:
    """The part of the command line. ``set`` is a word and not a command of its own, for a volume may stand there."""
    parser = command(
        commands,
        "preferences",
        run,
        does="Show which preferences are in force, or set one.",
        more="Each with where it is from. A volume may have its own section in the options files.\n"
        "Or convert an options file of TSM.",
        example="holdstill preferences set on-no-snapshot=static /home",
    )
    parser.usage = (
        "%(prog)s [--json] [--options FILE] [VOLUME]\n"
        "       %(prog)s [--json] [--options FILE] set NAME=VALUE [VOLUME]\n"
        "       %(prog)s [--json] convert FILE"
    )
    options_option(parser)
    parser.add_argument(
        "words",
        metavar="VOLUME",
        nargs="*",
        help="a volume; or `set`, then NAME=VALUE, then a volume; or `convert`, then a dsm.opt or dsm.sys",
    )


def run(desk: Desk) -> ExitCode:
    """Do it."""
    words = desk.asked.words
    if words[:1] == [_SET]:
        return _set(words[1:], desk)
    if words[:1] == [_CONVERT]:
        return _convert(words[1:], desk)
    if len(words) > 1:
        raise UsageError(f"one volume at most, not {len(words)}", next_step="see `holdstill preferences --help`")
    effective = desk.engine.preferences(words[0] if words else None)
    if not desk.asked.json:
        return desk.answer({}, _lines(effective))
    settings = {name: {"value": each.value, "from": each.origin} for name, each in effective.settings.items()}
    answer = {
        "volume": effective.volume,
        "preferences": settings,
        "excluded": effective.excluded.place if effective.excluded else None,
        "domain": list(effective.domain),
        "unknown": list(dict.fromkeys(each.name for each in effective.unknown)),
        "without_effect": _without_effect(effective.unknown),
    }
    desk.talk.streams.out(dumps(answer) + "\n")
    desk.talk.streams.flush()
    return ExitCode.DONE


def _convert(words: list[str], desk: Desk) -> ExitCode:
    if len(words) != 1:
        raise UsageError("which file is to be converted is not clear", next_step="holdstill preferences convert FILE")
    made = desk.engine.convert_options(words[0])
    answer = {"file": words[0], "toml": made.text, "without_effect": _without_effect(made.unknown)}
    return desk.answer(answer, made.text.removesuffix("\n").split("\n"))


def _without_effect(unknown: Iterable[Unknown]) -> list[dict[str, object]]:
    return [
        {"name": each.name, "file": each.file, "line": each.line, "reason": each.reason or "no such preference"}
        for each in unknown
    ]


def _set(words: list[str], desk: Desk) -> ExitCode:
    if len(words) not in (1, 2) or "=" not in words[0]:
        raise UsageError("what is to be set is not clear", next_step="holdstill preferences set NAME=VALUE [VOLUME]")
    name, _, value = words[0].partition("=")
    volume = words[1] if words[1:] else None
    file = desk.engine.set_preference(name, value, volume)
    effective = desk.engine.preferences(volume)
    now = effective.settings[name]
    if now.file != file or bool(now.section) != bool(volume):
        desk.talk.tell(Warned("preferences.overruled", f"{name} is {_shown(now.value)} nevertheless", now.origin))
    answer = {"file": file, "volume": effective.volume, "name": name, "value": now.value, "from": now.origin}
    return desk.answer(answer, [printable(f"{name} = {_shown(now.value)}  ({now.origin})")])


def _lines(effective: Effective) -> Iterator[str]:
    rows = [(name, _shown(each.value), each.origin) for name, each in effective.settings.items()]
    yield from table(("NAME", "VALUE", "FROM"), rows)
    if effective.domain:
        yield printable(f"domain: {', '.join(effective.domain)}")
    if effective.excluded:
        yield printable(f"no image is taken of it: {effective.excluded.place}")
    for each in effective.unknown:
        place = f"{each.file}:{each.line}" if each.line else each.file
        if each.reason:
            yield printable(f"no effect: {each.name} ({place}): {each.reason}")
        else:
            yield printable(f"no such preference: {each.name} ({place}); it has no effect")


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
