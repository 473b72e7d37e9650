"""The folder in which the engine keeps what outlives a run: journals, scratch space."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import attrs

from holdstill.errors import HoldstillError, VolumeBusy


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

    @contextlib.contextmanager
    def reserved(self, identity: str, subject: str) -> Iterator[None]:
        """Inside, no other run of this host holds the same volume still. Raises ``VolumeBusy`` if one does."""
        name = hashlib.sha256(identity.encode(errors="surrogateescape")).hexdigest()[:32]
        descriptor = os.open(self._made("volumes") / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise VolumeBusy(
                    "another run of holdstill holds it", subject=subject, next_step="try again when that has ended"
                ) from None
            yield
        finally:
            os.close(descriptor)

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
