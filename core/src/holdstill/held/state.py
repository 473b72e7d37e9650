"""The folder in which the engine keeps what outlives a run: journals, scratch space."""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
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

    @property
    def marks(self) -> Path:
        """Where is remembered what was kept of stills; made if it is not there."""
        return self._made("marks")

    @property
    def repositories(self) -> Path:
        """What is kept of repositories because it is cheaper than to read it again; made if it is not there."""
        return self._made("repositories")

    @contextmanager
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
        with kept_in(self.path, "the state folder cannot be made"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder


def write_whole(path: Path, text: str) -> None:
    """Put a file in its place at once: nobody sees half of it, and nothing is left where it fails. Raises OSError."""
    hidden = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as file:
            file.write(text)
        hidden.replace(path)
    finally:
        hidden.unlink(missing_ok=True)


@contextmanager
def kept_in(folder: Path, failing: str) -> Iterator[None]:
    """Around writes below the state folder: ``HoldstillError``, saying what is ``failing``, for a full or broken
    disk.
    """
    try:
        yield
    except OSError as error:
        raise HoldstillError(
            f"{failing}: {error.strerror}",
            subject=str(folder),
            next_step="make room there, or set HOLDSTILL_STATE to a folder that has some and that you may write to",
        ) from error
