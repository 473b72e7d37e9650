"""What an options file says, whichever language it is written in."""

from __future__ import annotations

from pathlib import Path

import attrs

from holdstill.preferences.schema import Value


@attrs.frozen
class Unknown:
    """What has no effect: it is kept, and told. A name that no preference has, or what cannot be honoured here."""

    name: str
    file: str
    line: int | None
    reason: str = ""
    """Why, a sentence without its end; empty: nobody knows this name."""


@attrs.frozen
class Rule:
    """A line of the include-exclude list. Of all that match a volume the last one decides, and alone."""

    pattern: str
    values: dict[str, Value] = attrs.field(factory=dict)
    exclude: bool = False
    """No image is taken of what it matches."""
    file: str = ""
    line: int | None = None

    @property
    def place(self) -> str:
        """Where it stands, and what it matches."""
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where} ({self.pattern})"


@attrs.frozen
class Member:
    """A volume that belongs to the domain, or with a ``-`` before it does not."""

    name: str
    file: str = ""
    line: int | None = None


@attrs.frozen
class OptionsFile:
    """What one file says, every value already understood."""

    path: Path
    text: str = attrs.field(repr=False)
    general: dict[str, Value] = attrs.field(factory=dict)
    volumes: dict[str, dict[str, Value]] = attrs.field(factory=dict)
    """By section, in the file's order: a path or an identity, as the user wrote it."""
    unknown: tuple[Unknown, ...] = ()
    rules: tuple[Rule, ...] = ()
    """In the file's order."""
    domain: tuple[Member, ...] = ()
    """What is imaged where no volume is named."""
