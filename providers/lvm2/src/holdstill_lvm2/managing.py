"""What LVM says of a volume that is to be imaged, and of one that an image is to go to."""

from __future__ import annotations

from typing import Final

import attrs

from holdstill.errors import ReadFault
from holdstill.model.compatibility import CompatQuestion, Operation
from holdstill.model.image import Image
from holdstill.model.managed import Managed
from holdstill.model.volume import Mode
from holdstill.spi.manager import Manager
from holdstill.spi.restore import RestoreTarget
from holdstill.spi.runner import Runner
from holdstill.spi.volume import Volume
from holdstill_lvm2.layout import Layout, Place, layout_of, place_of, told
from holdstill_lvm2.matrix.cells import LVM1, MANAGERS, NEW
from holdstill_lvm2.matrix.rules import Matrix
from holdstill_lvm2.ondisk.lvm1 import lvm1_volume
from holdstill_lvm2.ondisk.recognise import LVM1_MEMBER

_AS_RAW: Final = "(its bytes can be imaged as those of a disk, with --as-raw)"


@attrs.frozen
class LogicalVolumeManager(Manager):
    """Speaks for a logical volume."""

    place: Place
    layout: Layout

    def objections(self, mode: Mode, *, as_raw: bool) -> tuple[str, ...]:
        """What the matrix says of our engine, which counts as the newer client."""
        return _refusals(CompatQuestion(client=NEW, operation=Operation.BACKUP, source=self.layout.manager, mode=mode))

    def kept(self) -> Managed:
        """Its names, and its group's layout."""
        return Managed(self.layout.manager, NEW, told(self.place, self.layout), self.layout.text)


class Lvm1Disk(Manager):
    """Speaks for a physical volume of LVM1: a disk that this system's LVM does not even see."""

    def objections(self, mode: Mode, *, as_raw: bool) -> tuple[str, ...]:
        """It is no volume to be imaged, but it is still a disk."""
        if as_raw:
            return ()
        refusals = _refusals(CompatQuestion(client=NEW, operation=Operation.BACKUP, source=LVM1, mode=mode))
        return tuple(f"it is a physical volume of LVM1. {reason} {_AS_RAW}" for reason in refusals)

    def kept(self) -> None:
        """An image of a disk is of no volume manager."""
        return


def manage(volume: Volume, runner: Runner) -> Manager | None:
    """Who speaks for the volume; None for what is no logical volume and no disk of LVM1."""
    place = place_of(volume.facts)
    if place is not None:
        return LogicalVolumeManager(place, layout_of(place, runner))
    return Lvm1Disk() if _is_lvm1_disk(volume) else None


def _is_lvm1_disk(volume: Volume) -> bool:
    if volume.facts.mounts:
        return False
    try:
        with volume.open_reader(exclusive=False) as reader:
            return lvm1_volume(reader) is not None
    except ReadFault:
        return False  # whoever reads the rest of it says so, and knows what is to be done then


@attrs.frozen
class Destination(RestoreTarget):
    """A volume of LVM that an image goes to."""

    image: Image
    manager: str
    is_disk: bool

    def objections(self) -> tuple[str, ...]:
        """What the matrix says. A disk's own image may go back to a disk of LVM1: that is no image of a volume."""
        if self.is_disk and _is_of_lvm1_disk(self.image):
            return ()
        managed = self.image.managed
        if managed is None or managed.manager not in MANAGERS:
            return self._outside()
        return _refusals(
            CompatQuestion(
                client=NEW,
                operation=Operation.RESTORE,
                source=managed.manager,
                target=self.manager,
                raw=self.image.volume.filesystem is None,
                mode=self.image.mode,
            )
        )

    def _outside(self) -> tuple[str, ...]:
        """An image of something else may go to any volume that is recognised."""
        question = CompatQuestion(client=NEW, operation=Operation.RESTORE, source=self.manager, target=self.manager)
        return _refusals(question)


def destination(image: Image, target: Volume, runner: Runner) -> Destination | None:
    """LVM's part in a restore; None where it has none."""
    place = place_of(target.facts)
    if place is not None:
        return Destination(image, layout_of(place, runner).manager, is_disk=False)
    return Destination(image, LVM1, is_disk=True) if _is_lvm1_disk(target) else None


def _is_of_lvm1_disk(image: Image) -> bool:
    filesystem = image.volume.filesystem
    return filesystem is not None and filesystem.name == LVM1_MEMBER


def _refusals(question: CompatQuestion) -> tuple[str, ...]:
    verdict = Matrix().answer(question)
    return () if verdict.allowed else (verdict.reason,)
