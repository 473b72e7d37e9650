"""Which client may image which kind of volume, and where such an image may go: the question, and the answer."""

from __future__ import annotations

import enum

import attrs

from holdstill.model.volume import Mode


class Operation(enum.StrEnum):
    """What is to be done."""

    BACKUP = "backup"
    RESTORE = "restore"


@attrs.frozen(kw_only=True)
class CompatQuestion:
    """May this client do this? Clients and volume managers are named as the rules name them."""

    client: str
    operation: Operation = attrs.field(converter=Operation)
    source: str
    """The volume manager that the image is, or was, taken from."""
    target: str | None = None
    """The volume manager that it goes to. A restore needs it; a backup is judged with it if it is said."""
    raw: bool = False
    """A volume without a file system."""
    mode: Mode | None = attrs.field(default=None, converter=attrs.converters.optional(Mode))
    """How the volume is, or was, held: ``static``, ``dynamic`` or ``snapshot``. None: in whatever way may be."""


@attrs.frozen
class Verdict:
    """The answer, with its reason. A refusal always has one."""

    allowed: bool
    reason: str


@attrs.frozen
class CompatTable:
    """The rules as a table for people: rows as wide as ``headings``."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
