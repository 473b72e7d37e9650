"""An engine and one repository, for tests that go the whole way."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Self

import attrs

from holdstill.engine import Engine
from holdstill.model.requests import BackupRequest, RestoreRequest, VerifyRequest
from holdstill.model.results import BackupResult, Finding, RestoreResult
from holdstill_testing import volumes
from holdstill_testing.conversations import Agreeing
from holdstill_testing.warm import INSTALLED


@attrs.frozen
class Workbench:
    """Calls of the engine with everything in its place, and what must hold after them."""

    engine: Engine
    repository: Path
    state: Path

    @classmethod
    def at(cls, place: Path) -> Self:
        """Repository and state folder below ``place``."""
        return cls(Engine(INSTALLED, state=str(place / "state")), place / "repository", place / "state")

    @property
    def url(self) -> str:
        """Where the repository is."""
        return str(self.repository)

    def back_up(self, volume: Path | str, **more: Any) -> BackupResult:
        """An image of the volume."""
        return self.engine.backup(self.url, BackupRequest(os.fspath(volume), **more), Agreeing())

    def restore(self, image: str | None, target: Path | str, **more: Any) -> RestoreResult:
        """The image on the target, which is made if it is not there."""
        assert image is not None, "a dry run has no image"
        there, path = Path(target).exists(), os.fspath(target)
        request = RestoreRequest(image, to_volume=path if there else None, to_file=None if there else path, **more)
        return self.engine.restore(self.url, request, Agreeing())

    def findings(self) -> tuple[Finding, ...]:
        """What is wrong with the repository, every byte of it read."""
        return self.engine.verify(self.url, VerifyRequest(read_data=True), Agreeing()).findings

    def used(self, volume: Path | str) -> list[tuple[int, int]]:
        """The block map of the volume, whole."""
        with self.engine.map(os.fspath(volume)) as surveyed:
            return [(offset, length) for window in surveyed.windows() for offset, length in window]

    def due(self, volume: Path | str) -> str:
        """SHA-256 of what an image of the volume, as it is now, must hold: zeros wherever nothing is used."""
        with Path(volume).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
        return volumes.digest_of_used(volume, self.used(volume), size)

    def nothing_is_held(self) -> bool:
        """No journal, no scratch file, nothing to recover."""
        left = [path for folder in ("runs", "scratch") for path in (self.state / folder).glob("*")]
        return not left and not self.engine.recover(Agreeing())

    def packs(self) -> dict[str, int]:
        """Name and size of each pack that is there."""
        found = (self.repository / "packs").rglob("*")
        return {path.name: path.stat().st_size for path in found if path.is_file() and not path.name.startswith(".")}
