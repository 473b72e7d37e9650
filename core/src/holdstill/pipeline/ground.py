"""What the engine itself stands on: never frozen, never unmounted, never written over."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import holdstill
from holdstill.errors import OwnGround
from holdstill.held.state import StateFolder
from holdstill.pipeline.selves import as_here
from holdstill.plugins.registry import Plugins
from holdstill.repository.repository import Repository
from holdstill.spi.volume import Volume


def needed(state: StateFolder, repository: Repository) -> Iterator[tuple[str, str]]:
    """What a run needs to be able to write or read until its end, in words, and where it is."""
    yield "the state folder, with the journal", str(state.path)
    if (local := repository.target.local_path) is not None:
        yield "the repository", local
    yield "holdstill itself", str(Path(holdstill.__file__).parent)
    yield "the Python that runs it", os.path.realpath(sys.executable)
    yield "Python's environment", sys.prefix
    for number, name in ((1, "its output"), (2, "its messages")):
        if path := _file_behind(number):
            yield name, path


def refuse_own(plugins: Plugins, volume: Volume, state: StateFolder, repository: Repository) -> None:
    """Raises ``OwnGround`` if the run would hold still what it stands on itself."""
    here = as_here(plugins, volume)
    for what, path in needed(state, repository):
        if here.carries(path):
            raise OwnGround(
                f"{what} ({path}) is on it; while it is held that could not be written or read",
                subject=volume.facts.path,
                next_step="move that elsewhere, or choose a mode that lets others go on (`snapshot`, `dynamic`)",
            )


def _file_behind(descriptor: int) -> str | None:
    """The regular file that standard output or error goes to."""
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
    except OSError:
        return None
    return os.path.realpath(f"/dev/fd/{descriptor}")
