"""What this host has seen of each repository, so that one which was set back, or put in its place, is noticed.

A file for each URL, written whole.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import attrs

from holdstill.held.state import StateFolder, kept_in, write_whole


@attrs.frozen
class Seen:
    """How far a repository was when this host last looked."""

    repository_id: str
    entry: int
    """The last entry of its ledger."""
    digest: str
    """SHA-256 of that entry's object, in hexadecimal."""


@attrs.frozen
class SeenRepositories:
    """The memory of one state folder."""

    state: StateFolder

    def at(self, url: str) -> Seen | None:
        """What was seen there; None if nothing was, or it cannot be understood."""
        try:
            data = json.loads(self.path(url).read_text())
            return Seen(str(data["repository_id"]), int(data["entry"]), str(data["digest"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def put(self, url: str, seen: Seen) -> None:
        """Remember this. Raises ``HoldstillError`` if there is no room."""
        path = self.path(url)
        with kept_in(path, "what was seen of a repository cannot be remembered"):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(path, json.dumps(attrs.asdict(seen)))

    def forget(self, url: str) -> None:
        """Nothing was seen there."""
        self.path(url).unlink(missing_ok=True)

    def path(self, url: str) -> Path:
        """Where that is remembered."""
        return self.state.path / "seen" / hashlib.sha256(url.encode(errors="surrogateescape")).hexdigest()[:32]
