"""A volume of one of these systems: its facts, and the ways in and out."""

from __future__ import annotations

import hashlib
import os
from typing import Final

import attrs

from holdstill.errors import VolumeBusy, VolumeError
from holdstill.model.volume import VolumeFacts
from holdstill.spi.machine import Machine
from holdstill.spi.reader import Reader
from holdstill.spi.volume import Volume
from holdstill.spi.writer import Writer
from holdstill_platforms.noticing import NoticingReader
from holdstill_platforms.unix.asking import Asking
from holdstill_platforms.unix.devices import Devices
from holdstill_platforms.unix.system import Mounted, System

#: where every file system says that it was mounted for writing; bytes from the start
_FIRST: Final = 128 << 10


@attrs.frozen
class UnixVolume(Volume):
    """A block device, read and written by the raw one beside it."""

    facts: VolumeFacts
    system: System
    ask: Asking
    devices: Devices
    machine: Machine | None = None

    def carries(self, path: str) -> bool:
        """Does ``path``, of this host, lie in what is mounted from it? By name: the mount that it is looked up in."""
        if self.machine is not None:
            return False
        try:
            nearest = over(os.path.realpath(path), self.system.mounts(self.ask))
        except VolumeError:
            return False
        return nearest is not None and nearest.device == self.facts.device

    def users(self) -> tuple[str, ...]:
        """By ``fuser -c`` of each place it is mounted on, and by ``fuser`` of both devices."""
        found: list[str] = []
        for mount in self.facts.mounts:
            found += self.ask.users("fuser", "-c", mount.path)
        for device in () if self.facts.mounts else (self.facts.device, self.raw):
            found += self.ask.users("fuser", device)
        return tuple(dict.fromkeys(found))

    def open_reader(self, *, exclusive: bool) -> Reader:
        """A reader of the raw device. These systems have no exclusive open: who uses it is asked before, and whether it
        was mounted meanwhile, or its first sectors changed, after. A program that wrote elsewhere on the device is not
        noticed. Raises ``VolumeBusy`` naming who uses it.
        """
        if exclusive:
            self._refuse_in_use("unmount it or stop what uses it, or choose another mode")
        reader = self.devices.open_reader(self.raw, self.facts.size)
        if not exclusive:
            return reader
        first = _digest(reader)

        def look() -> str | None:
            if rows := self._rows():
                return f"it was mounted on {rows[0].place} while it was read"
            return "its first sectors were written to while it was read" if _digest(reader) != first else None

        return NoticingReader(reader, look)

    def open_writer(self) -> Writer:
        """A writer of the raw device. Raises ``VolumeBusy`` naming who uses it."""
        self._refuse_in_use("unmount it (`--unmount`) or stop what uses it, then restore again")
        return self.devices.open_writer(self.raw, self.facts.size)

    def unmount(self) -> None:
        """Unmount it wherever it is mounted, the latest first. Raises ``VolumeBusy`` naming who uses it."""
        for row in reversed([row for row in self.system.mounts(self.ask) if row.device == self.facts.device]):
            ran = self.ask.runner.change(("umount", row.place))
            if row in self.system.mounts(self.ask):
                who = ", ".join(self.ask.users("fuser", "-c", row.place)) or "nobody who can be seen"
                raise VolumeBusy(
                    f"{row.place} cannot be unmounted ({ran.said}); used by {who}",
                    subject=self.facts.path,
                    next_step="stop what uses it, then try again",
                )

    @property
    def raw(self) -> str:
        """The character device."""
        return self.system.raw(self.facts.device)

    def _refuse_in_use(self, next_step: str) -> None:
        places = [f"mounted on {row.place}" for row in self._rows()]
        who = ", ".join([*places, *self.facts.holders, *([] if places else self.users())])
        if who:
            raise VolumeBusy(f"it is in use: {who}", subject=self.facts.path, next_step=next_step)

    def _rows(self) -> list[Mounted]:
        return [row for row in self.system.mounts(self.ask) if row.device == self.facts.device]


def over(path: str, rows: list[Mounted]) -> Mounted | None:
    """The row in which a path is looked up: the longest place that it lies below, and the latest of those."""
    above = [row for row in rows if path == row.place or path.startswith(f"{row.place.rstrip('/')}/")]
    return max(enumerate(above), key=lambda pair: (len(pair[1].place), pair[0]))[1] if above else None


def _digest(reader: Reader) -> bytes:
    return hashlib.sha256(reader.read(0, min(_FIRST, reader.size))).digest()
