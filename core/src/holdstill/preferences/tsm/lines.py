"""The lines of a TSM options file: a name, and the rest.

One statement a line, none goes on in the next; leading blanks and case do not count; a line that begins with ``*`` is a
comment (Storage Protect documentation, "Client options reference" and "Sample client options file").
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs

_QUOTES: Final = "\"'"


@attrs.frozen
class Line:
    """One statement."""

    name: str
    """In lower case."""
    rest: str
    """What follows the name, its ends stripped."""
    file: Path
    number: int

    @property
    def place(self) -> str:
        """The file and the line, as errors name them."""
        return f"{self.file}:{self.number}"

    @property
    def value(self) -> str:
        """The rest as one value, without quotes of either kind around it. Quotes inside belong to it."""
        return unquoted(self.rest)

    def words(self) -> list[str]:
        """The rest, split at blanks; quotes hold together what begins with them, or follows a ``=``. Raises
        ValueError for a quote that is not closed.
        """
        return list(_words(self.rest))


def lines(text: str, file: Path) -> Iterator[Line]:
    """Every line that says something."""
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        said = line.strip()
        if said and not said.startswith("*"):
            name, rest = said, ""
            for at, letter in enumerate(said):
                if letter.isspace():
                    name, rest = said[:at], said[at:].strip()
                    break
            yield Line(name.lower(), rest, file, number)


def unquoted(text: str) -> str:
    """Without the pair of quotes that holds all of it."""
    whole = len(text) > 1 and text[0] in _QUOTES and text.find(text[0], 1) == len(text) - 1
    return text[1:-1] if whole else text


def _words(text: str) -> Iterator[str]:
    word: list[str] | None = None
    at = 0
    while at < len(text):
        letter = text[at]
        if letter.isspace():
            if word is not None:
                yield "".join(word)
            word = None
        elif letter in _QUOTES and (not word or word[-1].endswith("=")):
            end = text.find(letter, at + 1)
            if end < 0:
                raise ValueError(f"a quote is not closed: {text[at:]}")
            word = [*(word or []), text[at + 1 : end]]
            at = end
        else:
            word = [*(word or []), letter]
        at += 1
    if word is not None:
        yield "".join(word)
