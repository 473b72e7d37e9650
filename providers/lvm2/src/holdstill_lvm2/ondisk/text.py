"""The text in which LVM2 writes down volume groups: sections in braces, and names with values.

Source: lvm2 ``libdm/libdm-config.c``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, TypeAlias, Union

from holdstill.errors import StructureFault

Value: TypeAlias = int | float | str | list[int | float | str]
Section: TypeAlias = dict[str, Union[Value, "Section"]]

#: a group is three deep, a segment's own sections one more
_DEEPEST: Final = 16
_TOKEN: Final = re.compile(
    r"""(?P<space>(?:[ \t\r\n]|\#[^\n]*)+)|(?P<text>"(?:[^"\\]|\\.)*")|(?P<word>[\w.+\-/]+)|(?P<mark>[][{}=,])""",
    re.ASCII | re.DOTALL,
)
_NUMBER: Final = re.compile(r"-?[0-9]{1,20}")
_FRACTION: Final = re.compile(r"-?[0-9]{1,20}\.[0-9]{1,20}")
_END: Final = ("end", "")

_Token: TypeAlias = tuple[str, str]


def parsed(text: str) -> Section:
    """The whole of it. Raises ``StructureFault``. Takes time and memory in proportion to the text."""
    top: Section = {}
    inside = [top]
    tokens = _tokens(text)
    for kind, word in tokens:
        if word == "}" and kind == "mark" and len(inside) > 1:
            inside.pop()
            continue
        if kind not in ("word", "text"):
            raise StructureFault(f"a name was due where {word[:40]!r} stands")
        name = word if kind == "word" else _unquoted(word)
        mark = next(tokens, _END)
        if mark == ("mark", "{"):
            if len(inside) == _DEEPEST:
                raise StructureFault(f"sections are more than {_DEEPEST} deep")
            section: Section = {}
            inside[-1][name] = section
            inside.append(section)
        elif mark == ("mark", "="):
            inside[-1][name] = _value(tokens)
        else:
            raise StructureFault(f"neither a section nor a value follows {name[:40]!r}")
    if len(inside) > 1:
        raise StructureFault("a section has no end")
    return top


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise StructureFault(f"{text[at : at + 20]!r} is nothing that this language has")
        at = found.end()
        assert found.lastgroup is not None
        if found.lastgroup != "space":
            yield found.lastgroup, found.group()


def _value(tokens: Iterator[_Token]) -> Value:
    token = next(tokens, _END)
    if token != ("mark", "["):
        return _single(token)
    items: list[int | float | str] = []
    token = next(tokens, _END)
    while token != ("mark", "]"):
        if token != ("mark", ","):
            items.append(_single(token))
        token = next(tokens, _END)
    return items


def _single(token: _Token) -> int | float | str:
    kind, word = token
    if kind == "text":
        return _unquoted(word)
    if kind == "word" and _NUMBER.fullmatch(word):
        return int(word)
    if kind == "word" and _FRACTION.fullmatch(word):
        return float(word)
    raise StructureFault(f"{word[:40]!r} is no value" if word else "a value has no end")


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)
