"""What a file system's own checker said of it."""

from __future__ import annotations

import enum

import attrs


class FilesystemState(enum.StrEnum):
    """How a file system is after it was checked."""

    CLEAN = "clean"
    MENDED = "mended"
    """It was not, and is now: a second check found nothing more."""
    DAMAGED = "damaged"
    UNCHECKED = "unchecked"
    """Nobody here could check it."""


@attrs.frozen
class FilesystemCheck:
    """The outcome of ``restore --fsck``."""

    state: FilesystemState
    said: str
    """A sentence: what was found, or why nothing could be."""
    commands: tuple[str, ...] = ()
    """What was run, each as one would type it."""

    @property
    def sound(self) -> bool:
        """May it be mounted?"""
        return self.state in (FilesystemState.CLEAN, FilesystemState.MENDED)
