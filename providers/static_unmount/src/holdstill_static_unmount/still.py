"""The still of a volume that cannot be written to while it is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from holdstill.model.extents import Extents
from holdstill.model.image import Audit
from holdstill.model.volume import Consistency, Mode
from holdstill.spi.lent import LentReader
from holdstill.spi.reader import Reader
from holdstill.spi.still import Still

#: why the volume may have changed since, or None
Watch: TypeAlias = Callable[[], str | None]
#: see ``Still.audit``
Auditor: TypeAlias = Callable[[Extents], Audit | None]


class StaticStill(Still):
    """One reader, opened when the volume stood still and lent to whoever reads; then the volume is given back."""

    mode = Mode.STATIC
    consistency = Consistency.POINT_IN_TIME

    def __init__(
        self, reader: Reader, watch: Watch, give_back: Callable[[], None], auditor: Auditor | None = None
    ) -> None:
        self._reader: Reader | None = reader
        self._watch = watch
        self._give_back = give_back
        self._auditor = auditor
        self._lost: str | None = None

    def open_reader(self) -> Reader:
        """A view of the one reader: closing it does not let go of the volume."""
        if self._reader is None:
            raise ValueError("the still was released")
        return LentReader(self._reader, lambda: self._lost)

    def untrue(self) -> str | None:
        """Whether the volume changed since it stood still. Sticky."""
        if self._lost is None:
            self._lost = self._asked()
        return self._lost

    def audit(self, unused: Extents) -> Audit | None:
        """By whoever knows the volume while it stands still."""
        return self._auditor(unused) if self._auditor else None

    def release(self) -> None:
        """Close it, and give the volume back as it was. Raises ``LeftHeld``."""
        self.untrue()
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()
        self._give_back()

    def _asked(self) -> str | None:
        if self._reader is None:
            return "the volume is no longer held"
        try:
            return self._watch()
        except Exception as error:  # noqa: BLE001  # not knowing is a reason not to commit
            return f"cannot tell whether the volume changed: {error}"
