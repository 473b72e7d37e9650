"""What a provider may say of a restore before and after it."""

from __future__ import annotations

import abc

from holdstill.model.extents import Extents


class RestoreTarget(abc.ABC):
    """A provider's view of one restore. Nothing is written while ``objections`` is asked."""

    @abc.abstractmethod
    def objections(self) -> tuple[str, ...]:
        """Why this image must not go to this target: sentences for the user. Any one of them stops the plan."""

    def preserved_ranges(self) -> Extents:
        """Ranges of the target that keep what is there now (an AIX LVCB). Left out of the proof, and said."""
        return Extents.none()

    def by_hand_first(self) -> str | None:
        """Why nobody may mount what was restored, or check it, before a person did something (a sentence without its
        end); None: nothing stands against it. ``finish`` says what is to be done.
        """
        return None

    def finish(self) -> tuple[str, ...]:
        """After the proof: what the platform needs done. Returns sentences for the result."""
        return ()
