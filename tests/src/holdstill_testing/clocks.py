"""A clock that a test sets, in the place of the module ``time``."""

from __future__ import annotations

import attrs

DAY = 86400.0


@attrs.define
class Clock:
    """What it is on one host, seconds. Nobody sleeps."""

    uptime: float = 0.0
    wall: float = 1e9

    def monotonic(self) -> float:
        """Never goes back."""
        return self.uptime

    def time(self) -> float:
        """May be set back by anybody."""
        return self.wall

    def pass_by(self, seconds: float) -> None:
        """So long; less than nothing: it was set back."""
        self.uptime += max(0.0, seconds)
        self.wall += seconds
