"""Programs of a simulated host, started as the engine starts those of a real one."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from holdstill.spi.runner import Ran, Runner
from holdstill_testing.unix.host import Host


@attrs.frozen
class SimulatedRunner(Runner):
    """Runs everything on one host."""

    host: Host

    def ask(self, argv: Sequence[str], *, limit: float) -> Ran:
        """Run what changes nothing."""
        return self.host.run(argv, change=False)

    def change(self, argv: Sequence[str]) -> Ran:
        """Run what changes the host; it is waited for."""
        return self.host.run(argv, change=True)
