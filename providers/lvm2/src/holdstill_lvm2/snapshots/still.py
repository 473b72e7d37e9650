"""The still of a logical volume: its snapshot, read like any other device of this host."""

from __future__ import annotations

import abc
import contextlib
import threading
from collections.abc import Mapping

from holdstill.errors import HoldstillError
from holdstill.model.extents import Extents
from holdstill.model.volume import Consistency, Mode
from holdstill.spi.lent import LentReader
from holdstill.spi.reader import Reader
from holdstill.spi.still import Fill, Still
from holdstill_lvm2.snapshots.given_back import GivenBack


class Health(abc.ABC):
    """What can be asked of a snapshot while it is read."""

    @abc.abstractmethod
    def lost(self) -> str | None:
        """Why what is read is no longer what the volume was, for good; or None."""

    @abc.abstractmethod
    def fill(self) -> Fill | None:
        """As ``Still.fill``."""

    def grow(self) -> bool:
        """As ``Still.grow``."""
        return False

    def mark(self) -> dict[str, str]:
        """As ``Still.mark``."""
        return {}

    def changed_since(self, mark: Mapping[str, str]) -> Extents | str:
        """As ``Still.changed_since``."""
        return "a thick snapshot does not tell what changed since another one"

    def let_go(self, keeper: str) -> None:
        """As ``Still.let_go``."""

    def keep(self, keeper: str) -> None:
        """Keep it now, for ``keeper``: nobody reads it any more. Raises ``HoldstillError``."""


class SnapshotStill(Still):
    """A snapshot that exists, until it is released."""

    mode = Mode.SNAPSHOT
    consistency = Consistency.POINT_IN_TIME

    def __init__(self, reader: Reader, health: Health, give_back: GivenBack) -> None:
        self._reader: Reader | None = reader
        self._health = health
        self._give_back = give_back
        self._keeper = ""
        self._asking = threading.Lock()
        self.lost: str | None = None
        """Why it is known to be untrue."""

    def open_reader(self) -> Reader:
        """A view of the one reader that keeps the snapshot open: nobody mounts or removes it meanwhile."""
        if self._reader is None:
            raise ValueError("the still was released")
        return LentReader(self._reader, lambda: self.lost)

    def untrue(self) -> str | None:
        """See ``Still``."""
        with self._asking:
            if self.lost is None:
                self.lost = self._asked()
            return self.lost

    def fill(self) -> Fill | None:
        """See ``Still``."""
        return None if self._reader is None else self._health.fill()

    def grow(self) -> bool:
        """See ``Still``."""
        return self._reader is not None and self._health.grow()

    def release(self) -> None:
        """See ``Still``."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()
            self.lost = self.lost or "the snapshot was given back"
            if self._keeper:
                self._kept(self._keeper)
        self._give_back()

    def _kept(self, keeper: str) -> None:
        """What cannot be kept is given back: the next image then reads everything."""
        with contextlib.suppress(HoldstillError):
            self._health.keep(keeper)
            self._give_back.kept()

    def mark(self) -> dict[str, str]:
        """See ``Still``."""
        return self._health.mark()

    def changed_since(self, mark: Mapping[str, str]) -> Extents | str:
        """See ``Still``."""
        return self._health.changed_since(mark)

    def keep(self, keeper: str) -> None:
        """See ``Still``."""
        self._keeper = keeper

    def let_go(self, keeper: str) -> None:
        """See ``Still``."""
        self._health.let_go(keeper)

    def _asked(self) -> str | None:
        if self._reader is None:
            return "the snapshot was given back"
        try:
            return self._health.lost() or self._reader.changed()
        except HoldstillError as error:
            return f"cannot tell whether the snapshot is valid: {error}"
