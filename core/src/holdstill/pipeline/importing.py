"""An image that another client once made, in a file: what is said of it, and whether that can be so."""

from __future__ import annotations

from typing import Final

import attrs

from holdstill.errors import UsageError
from holdstill.model.compatibility import CompatQuestion, Operation
from holdstill.model.managed import Managed
from holdstill.model.requests import ImportRequest
from holdstill.model.volume import Consistency, FilesystemFacts, Mode, VolumeFacts, VolumeKind
from holdstill.spi.compatibility import Compatibility

#: what a user calls a volume without a file system
RAW: Final = "raw"


@attrs.frozen
class Import:
    """What the user says of the file."""

    request: ImportRequest
    rules: Compatibility

    @property
    def managed(self) -> Managed:
        """What the image keeps of the manager of a volume that is not here."""
        return Managed(self.request.manager, self.request.client)

    @property
    def mode(self) -> Mode | None:
        """How the volume was held, if that is known."""
        return self.request.mode

    @property
    def consistency(self) -> Consistency | None:
        """What was read from a volume that changed meanwhile was never one instant of it."""
        return Consistency.FUZZY if self.request.mode is Mode.DYNAMIC else None

    def admitted(self, facts: VolumeFacts) -> VolumeFacts:
        """The file's facts, with the file system that is in it. Raises ``UsageError`` if it is no file, or if no such
        client can have made this.
        """
        if facts.kind is not VolumeKind.FILE:
            raise UsageError("only a file can be imported", subject=facts.path, next_step="`holdstill backup` takes it")
        filesystem = self._filesystem(facts)
        verdict = self.rules.answer(
            CompatQuestion(
                client=self.request.client,
                operation=Operation.BACKUP,
                source=self.request.manager,
                raw=filesystem is None,
                mode=self.request.mode,
            )
        )
        if not verdict.allowed:
            raise UsageError(
                f"a client {self.request.client} cannot have made this image of a volume of {self.request.manager}:"
                f" {verdict.reason}",
                subject=facts.path,
                next_step="name the client and the volume manager that it was; --filesystem says what is in it",
            )
        return attrs.evolve(facts, filesystem=filesystem)

    def _filesystem(self, facts: VolumeFacts) -> FilesystemFacts | None:
        said, found = self.request.filesystem, facts.filesystem
        if said is None:
            return found
        if found is not None and found.name != said:
            raise UsageError(
                f"it holds {found.name}, not {said}", subject=facts.path, next_step="leave --filesystem out"
            )
        return None if said == RAW else found or FilesystemFacts(said)
