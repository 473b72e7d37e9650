"""One value of an options file, changed or added. Comments, order and every other byte stay as they are."""

from __future__ import annotations

import json
import tomllib
from typing import Any

from holdstill.preferences.document import Keys, Statement, keys_of, parse, statements
from holdstill.preferences.schema import Value


class CannotEdit(Exception):
    """The file is laid out in a way that is safer changed by hand: an inline table, a dotted key."""


def edited(text: str, table: Keys, name: str, value: Value) -> str:
    """The text with ``name`` in ``table`` set to ``value``. Raises ``CannotEdit``; what it returns says what was meant
    and nothing else: it was parsed again and compared.
    """
    pieces = list(statements(text))
    ends = "\r\n" if "\r\n" in text else "\n"
    for at, piece in enumerate(pieces):
        if piece.key and piece.path == (*table, name):
            before, after = pieces[:at], pieces[at + 1 :]
            changed = _joined(before) + _with_value(piece, value) + _joined(after)
            break
    else:
        line = f"{name} = {toml(value)}{ends}"
        changed = _in_table(pieces, table, line, ends) if table else _at_the_root(pieces, line, ends)
    if parse(changed) != _expected(text, table, name, value):
        raise CannotEdit
    return changed


def toml(value: Value) -> str:
    """A value as TOML writes it. Raises ``CannotEdit`` for text that is not Unicode."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            try:
                value.encode()
            except UnicodeEncodeError as error:
                raise CannotEdit from error
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _expected(text: str, table: Keys, name: str, value: Value) -> dict[str, Any]:
    everything = tomllib.loads(text)
    inside = everything
    for key in table:
        inside = inside.setdefault(key, {})
    inside[name] = value
    return everything


def _with_value(piece: Statement, value: Value) -> str:
    """The same statement with another value, its spaces and its comment kept."""
    for at in _places(piece.text, "="):
        if keys_of(parse(f"{piece.text[:at]}=0") or {}) == piece.key:
            break
    else:
        raise CannotEdit
    head, rest = piece.text[: at + 1], piece.text[at + 1 :]
    end = next(end for end in [*_places(rest, "#"), len(rest)] if parse(f"_={rest[:end]}") is not None)
    old = rest[:end].strip()
    before, _, after = rest[:end].partition(old)
    return head + before + toml(value) + after + rest[end:]


def _places(text: str, letter: str) -> list[int]:
    return [at for at, each in enumerate(text) if each == letter]


def _in_table(pieces: list[Statement], table: Keys, line: str, ends: str) -> str:
    opened = [at for at, piece in enumerate(pieces) if piece.is_heading and piece.table == table]
    if not opened:
        before = _ended(_joined(pieces), ends)
        gap = ends if before and not before.endswith(ends * 2) else ""
        return f"{before}{gap}[{'.'.join(_key(key) for key in table)}]{ends}{line}"
    at = _after_last_key(pieces, opened[0], opened[0] + 1)
    return _ended(_joined(pieces[:at]), ends) + line + _joined(pieces[at:])


def _at_the_root(pieces: list[Statement], line: str, ends: str) -> str:
    """After the last value before the first table; if there is none, above that table and its comment."""
    at = _after_last_key(pieces, -1, 0)
    if at == 0:
        at = next((at for at, piece in enumerate(pieces) if piece.is_heading), len(pieces))
        while 0 < at < len(pieces) and pieces[at - 1].is_comment:
            at -= 1
        if pieces[at:]:
            line += ends
    return _ended(_joined(pieces[:at]), ends) + line + _joined(pieces[at:])


def _after_last_key(pieces: list[Statement], heading: int, otherwise: int) -> int:
    """The place behind the last value of the table that begins at ``heading``."""
    place = otherwise
    for at in range(heading + 1, len(pieces)):
        if pieces[at].is_heading:
            break
        if pieces[at].key:
            place = at + 1
    return place


def _joined(pieces: list[Statement]) -> str:
    return "".join(piece.text for piece in pieces)


def _ended(text: str, ends: str) -> str:
    return text if not text or text.endswith("\n") else text + ends


def _key(key: str) -> str:
    bare = key.isascii() and key.replace("-", "").replace("_", "").isalnum()
    return key if bare else toml(key)
