"""Options files of TSM, written again as one of ours that means the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import attrs

from holdstill.errors import UsageError
from holdstill.preferences.editing import CannotEdit, toml
from holdstill.preferences.reading import DOMAIN, EXCLUDE, MATCH, RULE
from holdstill.preferences.said import OptionsFile, Rule, Unknown
from holdstill.preferences.schema import Value


@attrs.frozen
class Converted:
    """Options files of TSM as one of ours."""

    text: str
    """TOML."""
    unknown: tuple[Unknown, ...]
    """What has no effect here."""


def converted(files: Sequence[OptionsFile]) -> str:
    """One file in TOML that says what these say together. What has no effect becomes a comment.

    Raises ``UsageError`` for a name that TOML cannot hold, because it is not Unicode.
    """
    try:
        return "\n".join([*_lines(files), ""])
    except CannotEdit as error:
        raise UsageError(
            "a name in it is not UTF-8, which TOML cannot hold",
            subject=str(files[-1].path),
            next_step="name this volume by another of its names",
        ) from error


def _lines(files: Sequence[OptionsFile]) -> Iterator[str]:
    for file in files:
        yield _comment(f"from {file.path}")
    for unknown in (each for file in files for each in file.unknown):
        yield _comment(f"{unknown.name}: {unknown.reason} ({Path(unknown.file).name}:{unknown.line})")
    general: dict[str, Value] = {}
    for file in files:
        general |= file.general
    members = [member.name for file in files for member in file.domain]
    if general or members:
        yield ""
    yield from _values(general)
    if members:
        yield f"{DOMAIN} = [{', '.join(map(toml, members))}]"
    for rule in (each for file in files for each in file.rules):
        yield from _rule(rule)


def _rule(rule: Rule) -> Iterator[str]:
    yield ""
    yield f"[[{RULE}]]  {_comment(f'{Path(rule.file).name}:{rule.line}')}"
    yield f"{MATCH} = {toml(rule.pattern)}"
    if rule.exclude:
        yield f"{EXCLUDE} = true"
    yield from _values(rule.values)


def _values(values: dict[str, Value]) -> Iterable[str]:
    return (f"{name} = {toml(value)}" for name, value in values.items())


def _comment(text: str) -> str:
    """On one line, whatever is in it."""
    return "# " + "".join(letter if letter.isprintable() else "?" for letter in text)
