"""What LVM knows of a logical volume, as an image keeps it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

import attrs

from holdstill.errors import StructureFault
from holdstill.model.managed import LONGEST_LAYOUT
from holdstill.model.volume import VolumeFacts
from holdstill.spi.runner import Runner
from holdstill_lvm2.lvm import Lvm, unmapped
from holdstill_lvm2.matrix.cells import LVM1, LVM2
from holdstill_lvm2.ondisk.group import VolumeGroup, group_in

#: how the platform calls the layer that a logical volume is
_LAYER: Final = "lvm2"


@attrs.frozen
class Place:
    """Which logical volume a device is, from its device-mapper name and UUID."""

    group: str
    name: str
    group_uuid: str
    uuid: str


@attrs.frozen
class Layout:
    """A volume group, as ``vgcfgbackup`` writes it down; without it, why not."""

    text: str = ""
    group: VolumeGroup | None = None
    missing: str = ""

    @property
    def manager(self) -> str:
        """By the format of the metadata, never by a name; today's tools know only the newer."""
        return LVM1 if self.group is not None and self.group.format == LVM1 else LVM2


def place_of(facts: VolumeFacts) -> Place | None:
    """None for anything but a whole logical volume."""
    if not facts.layers or facts.layers[0].kind != _LAYER:
        return None
    identities = unmapped(facts.facts.get("dm_uuid", ""))
    group, name = facts.facts.get("vg"), facts.facts.get("lv")
    return Place(group, name, *identities) if identities and group and name else None


def layout_of(place: Place, runner: Runner) -> Layout:
    """The layout of the volume's group. It may be missing; that hurts no image."""
    with tempfile.TemporaryDirectory(prefix="holdstill-") as folder:
        paper = Path(folder) / "layout"
        ran = Lvm(runner).ask("vgcfgbackup", "--file", str(paper), place.group)
        try:
            data = paper.read_bytes() if ran.ok else b""
        except OSError as error:
            return Layout(missing=f"{error.strerror}")
    if not data:
        return Layout(missing=ran.said)
    text = data.decode("utf-8", "backslashreplace")
    if len(text) > LONGEST_LAYOUT:
        return Layout(missing=f"it has {len(text)} characters")
    try:
        return Layout(text, group_in(text))
    except StructureFault as fault:
        return Layout(text, missing=fault.message)


def told(place: Place, layout: Layout) -> dict[str, str]:
    """Names, UUIDs and sizes, as text."""
    facts = {"vg": place.group, "vg_uuid": place.group_uuid, "lv": place.name, "lv_uuid": place.uuid}
    volume = layout.group.named(place.name) if layout.group else None
    if layout.group is not None:
        facts["extent_size"] = str(layout.group.extent_size)
    if volume is not None:
        facts |= {"lv_size": str(volume.size), "lv_type": volume.kind}
    if layout.missing:
        facts["layout_missing"] = layout.missing
    return facts
