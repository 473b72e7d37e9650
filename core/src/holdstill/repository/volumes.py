"""A volume's facts inside an image record: their JSON, written and read field by field."""

from __future__ import annotations

from typing import Any

import attrs

from holdstill.model.volume import FilesystemFacts, Layer, Mount, VolumeFacts, VolumeKind
from holdstill.repository.fields import Fields


def volume_json(volume: VolumeFacts) -> dict[str, Any]:
    """As it is stored: the attributes by name. JSON writes tuples as lists and the kind as its text."""
    return attrs.asdict(volume)


def volume_from(fields: Fields) -> VolumeFacts:
    """Raises ``Damaged`` for anything that ``volume_json`` does not write."""
    kind = fields.text("kind")
    if kind not in {choice.value for choice in VolumeKind}:
        raise fields.wrong("kind", f"is {kind!r}, which is unknown")
    filesystem = fields.optional_below("filesystem")
    volume = VolumeFacts(
        path=fields.text("path"),
        device=fields.text("device"),
        kind=VolumeKind(kind),
        size=fields.number("size"),
        logical_sector=fields.number("logical_sector"),
        physical_sector=fields.number("physical_sector"),
        filesystem=None if filesystem is None else _filesystem_from(filesystem),
        mounts=tuple(_mount_from(each) for each in fields.each("mounts")),
        nested=tuple(_mount_from(each) for each in fields.each("nested")),
        holders=fields.texts("holders"),
        layers=tuple(_layer_from(each) for each in fields.each("layers")),
        serial=fields.text("serial"),
        identity=fields.text("identity"),
        facts=fields.text_map("facts"),
    )
    fields.done()
    return volume


def _filesystem_from(fields: Fields) -> FilesystemFacts:
    facts = FilesystemFacts(
        name=fields.text("name"),
        label=fields.text("label"),
        uuid=fields.text("uuid"),
        block_size=fields.number("block_size"),
        detail=fields.text("detail"),
    )
    fields.done()
    return facts


def _mount_from(fields: Fields) -> Mount:
    mount = Mount(
        path=fields.text("path"),
        filesystem=fields.text("filesystem"),
        options=fields.text("options"),
        read_only=fields.flag("read_only"),
        root=fields.text("root"),
        namespace=fields.text("namespace"),
    )
    fields.done()
    return mount


def _layer_from(fields: Fields) -> Layer:
    layer = Layer(fields.text("kind"), fields.text("name"), fields.text("detail"))
    fields.done()
    return layer
