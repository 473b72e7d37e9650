"""What can be asked of a snapshot while it is read."""

from __future__ import annotations

import attrs

from holdstill.errors import HoldstillError
from holdstill.spi.still import Fill
from holdstill_jfs2.commands import Aix, Kept
from holdstill_jfs2.snapshots.ours import Ours


@attrs.frozen
class Health:
    """Of one snapshot. ``made``: as it stood in the list when it was made."""

    aix: Aix
    ours: Ours
    made: Kept

    def lost(self) -> str | None:
        """Why what is read is no longer what the volume was; or None.

        A newer one takes the old blocks from then on, and who shares a file system with one that ran full is lost too.
        """
        kept = self.aix.snapshots(self.ours.place)
        mine = self.ours.among(kept)
        if mine is None:
            return "the snapshot is gone: somebody deleted it"
        if mine.taken != self.made.taken:
            return "the snapshot is not the one that was made: somebody made it anew"
        if lost := [each.name for each in kept if not each.valid]:
            return f"snapshots of {self.ours.place} are lost, and with them this one: {', '.join(lost)}; {self._more()}"
        if mine.full:
            return f"the snapshot's space is full: {mine.size} bytes did not do; {self._more()}"
        if len(kept) > 1:
            others = ", ".join(each.name for each in kept if each is not mine)
            return f"somebody made another snapshot meanwhile ({others}), which the old blocks go to from then on"
        return None

    def fill(self) -> Fill | None:
        """None for an internal one, and where it is not in the list any more."""
        mine = self.ours.among(self.aix.snapshots(self.ours.place))
        return Fill(mine.size - mine.free, mine.size) if mine is not None and mine.size else None

    def grow(self) -> bool:
        """By as much again as it had, or by what is left in the group."""
        if self.made.internal:
            return False
        try:
            group = self.aix.group(self.ours.group)
            before = self.ours.among(self.aix.snapshots(self.ours.place))
            more = min(self.made.size, group.free * group.partition)
            if before is None or not more:
                return False
            self.aix.grow(self.ours.name, before.size + more)
            after = self.ours.among(self.aix.snapshots(self.ours.place))
        except HoldstillError:
            return False
        return after is not None and after.size > before.size

    def _more(self) -> str:
        return "ask for more with --snapshot-cache-size"
