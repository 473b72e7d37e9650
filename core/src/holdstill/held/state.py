"""The folder in which the engine keeps what outlives a run: journals, scratch space."""

from __future__ import annotations

import os
from pathlib import Path

import attrs

from holdstill.errors import HoldstillError


@attrs.frozen
class StateFolder:
    """``HOLDSTILL_STATE``, else ``/var/lib/holdstill`` for root, else below the user's home."""

    path: Path

    @classmethod
    def default(cls) -> StateFolder:
        """Where it is for this user."""
        if named := os.environ.get("HOLDSTILL_STATE"):
            return cls(Path(named).absolute())
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            return cls(Path("/var/lib/holdstill"))
        return cls(Path.home() / ".local" / "state" / "holdstill")

    @property
    def journals(self) -> Path:
        """Where the journals of runs are; made if it is not there."""
        return self._made("runs")

    @property
    def scratch(self) -> Path:
        """Where nameless scratch files are put; made if it is not there."""
        return self._made("scratch")

    def _made(self, name: str) -> Path:
        folder = self.path / name
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise HoldstillError(
                f"the state folder cannot be made: {error.strerror}",
                subject=str(self.path),
                next_step="set HOLDSTILL_STATE to a folder that you may write to",
            ) from error
        return folder
