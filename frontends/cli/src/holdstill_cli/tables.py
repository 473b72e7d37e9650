"""Plain aligned text: tables, lists of facts, sizes and times that a person reads."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence

from holdstill.model.sizes import human

__all__ = ["clock", "facts", "human", "measure", "printable", "table", "took"]


def printable(text: str) -> str:
    r"""A text that a terminal can be shown: no undecodable byte, no control character.

    A file name or a file-system label is whatever its maker wanted it to be, an escape sequence included. Such
    characters appear as ``\x1b``, bytes that are not UTF-8 as ``\xff``.
    """
    known = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in known
    )


def measure(number: int, *, exact: bool) -> str:
    """A number of bytes for people, or exactly."""
    return str(number) if exact else human(number)


def clock(seconds: float) -> str:
    """A duration as ``0:07``, ``12:34`` or ``3:00:05``."""
    minutes, left = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def took(seconds: float) -> str:
    """How long something took: ``0.4 s``, and from a minute on as ``clock`` says it."""
    return f"{seconds:.1f} s" if seconds < 60 else clock(seconds)


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, right: Container[str] = ()) -> Iterator[str]:
    """Lines of a table; the columns whose headings are in ``right`` are set to the right."""
    shown = [list(headings), *([printable(cell) for cell in row] for row in rows)]
    widths = [max(len(cell) for cell in column) for column in zip(*shown, strict=True)]
    for line in shown:
        cells = (
            cell.rjust(width) if heading in right else cell.ljust(width)
            for heading, cell, width in zip(headings, line, widths, strict=True)
        )
        yield "  ".join(cells).rstrip()


def facts(pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Lines of ``name  value``, the values in one column; pairs without a value are left out."""
    said = [(name, printable(value)) for name, value in pairs if value]
    width = max((len(name) for name, _ in said), default=0)
    for name, value in said:
        yield f"{name.ljust(width)}  {value}"
