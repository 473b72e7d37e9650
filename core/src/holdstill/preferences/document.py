"""The text of an options file, taken apart so that one statement can be found or changed, and no other byte.

``tomllib`` is the lexer: a TOML statement is the fewest lines that are valid TOML on their own.
"""

from __future__ import annotations

import io
import tomllib
from collections.abc import Iterator
from typing import Any, TypeAlias

import attrs

#: keys from the root of the document
Keys: TypeAlias = tuple[str, ...]


@attrs.frozen
class Statement:
    """A line, or the few lines of one value."""

    line: int
    """Where it begins, counted from 1."""
    text: str
    table: Keys
    """The table that it opens, or stands in."""
    key: Keys = ()
    """What it sets there; empty for a heading, a comment, an empty line."""

    @property
    def path(self) -> Keys:
        """What it opens or sets, from the root."""
        return self.table + self.key

    @property
    def is_heading(self) -> bool:
        """Does it open a table?"""
        return self.text.lstrip().startswith("[")

    @property
    def is_comment(self) -> bool:
        """Is it nothing but a comment?"""
        return self.text.lstrip().startswith("#")


def statements(text: str) -> Iterator[Statement]:
    """The statements of a text; joined they are the text again. Raises ValueError for one that is not valid TOML."""
    table: Keys = ()
    lines = list(io.StringIO(text, newline="\n"))
    at = 0
    while at < len(lines):
        length = 1
        while (parsed := parse(piece := "".join(lines[at : at + length]))) is None:
            length += 1
            if at + length > len(lines):
                raise ValueError(f"not TOML from line {at + 1} on")
        if piece.lstrip().startswith("["):
            table = keys_of(parsed)
            yield Statement(at + 1, piece, table)
        else:
            yield Statement(at + 1, piece, table, keys_of(parsed))
        at += length


def line_of(text: str, path: Keys) -> int | None:
    """Where ``path`` is set, as a key or inside an inline table, or which heading opens it."""
    for each in statements(text):
        if each.path == path or (each.key and each.path == path[: len(each.path)]):
            return each.line
    return None


def lines_of_headings(text: str, path: Keys) -> list[int]:
    """Where each heading of ``path`` stands: one for each table of an array of tables."""
    return [each.line for each in statements(text) if each.is_heading and each.table == path]


def parse(text: str) -> dict[str, Any] | None:
    """What this piece of TOML says; None if it is not whole."""
    try:
        return tomllib.loads(text)
    except ValueError:
        return None


def keys_of(parsed: dict[str, Any]) -> Keys:
    """The keys from the root down to the first thing that is not a table with one entry."""
    keys: list[str] = []
    inside: object = parsed
    while isinstance(inside, dict) and len(inside) == 1:
        key, inside = next(iter(inside.items()))
        keys.append(key)
    return tuple(keys)
