"""What a plugin takes for so on a host, asked of that host."""

from __future__ import annotations

import enum

import attrs


class Settled(enum.StrEnum):
    """What asking came to."""

    AS_TAKEN = "as-taken"
    OTHERWISE = "otherwise"
    UNASKED = "unasked"
    """It changes something, or needs a person to choose; ``command`` is what to type."""


@attrs.frozen
class HostCheck:
    """One thing. Asking it has changed nothing."""

    what: str
    """What it is about: a command and in what state of the host, or what was compared."""
    command: str
    """What was run, or what a person would type."""
    taken: str
    """What it is taken to print."""
    settled: Settled
    found: str = ""
    """What it printed, both outputs; at most 4000 characters."""
    taken_code: int | None = None
    code: int | None = None


@attrs.frozen
class HostReport:
    """Of one host: for whoever made the plugins."""

    host: str
    system: str
    """As ``sys.platform`` has it there."""
    version: str
    """Of holdstill."""
    checks: tuple[tuple[str, HostCheck], ...]
    """Each with the name of the plugin."""
