"""What was kept of a volume's last still, so that the next one can tell what changed since.

A file for each repository and volume, written whole. It is a hint: whoever made the mark checks it before it is used.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import attrs

from holdstill.held.state import StateFolder, kept_in, write_whole


@attrs.frozen
class Marked:
    """The image that was made of the still, and the provider's mark of it."""

    image: str
    mark: dict[str, str]


@attrs.frozen
class Marks:
    """The marks of one repository on this host."""

    state: StateFolder
    repository: str

    def last(self, volume: str) -> Marked | None:
        """Of the volume with this identity; None if there is none, or it cannot be understood."""
        try:
            data = json.loads(self._path(volume).read_text())
            return Marked(str(data["image"]), {str(name): str(value) for name, value in data["mark"].items()})
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def put(self, volume: str, marked: Marked) -> None:
        """Remember this one. Raises ``HoldstillError`` if there is no room."""
        path = self._path(volume)
        with kept_in(path, "what was kept cannot be remembered"):
            write_whole(path, json.dumps(attrs.asdict(marked)))

    def forget(self, volume: str) -> None:
        """Nothing is kept of it any more."""
        self._path(volume).unlink(missing_ok=True)

    def _path(self, volume: str) -> Path:
        name = hashlib.sha256(f"{self.repository}\0{volume}".encode(errors="surrogateescape")).hexdigest()[:32]
        return self.state.marks / name
