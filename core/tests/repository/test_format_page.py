"""The page that tells the format names what the code writes."""

from __future__ import annotations

import re
from pathlib import Path

import attrs

from holdstill.model.image import Image, Sizes
from holdstill.model.managed import Managed
from holdstill.model.volume import FilesystemFacts, Layer, Mount, VolumeFacts
from holdstill.repository import envelope
from holdstill.repository.checks import Check
from holdstill.repository.codecs import Codec
from holdstill.repository.config import Config
from holdstill.repository.layout import BlobKind, ObjectKind
from holdstill.repository.ledger import Begin, Condemn
from holdstill.repository.marks import Mark
from holdstill.repository.records import Upkeep, Void
from holdstill.repository.rows import STORED

PAGE = (Path(__file__).parents[3] / "docs/reference/repository-format.md").read_text()


def test_every_field_of_every_stored_value_is_told():
    said = set(re.findall(r"[`\"](\w+)[`\"]", PAGE))
    kinds = (Config, Image, Managed, Sizes, VolumeFacts, FilesystemFacts, Mount, Layer)
    for kind in (*kinds, Void, Begin, Condemn, Upkeep, Check):
        assert {field.name for field in attrs.fields(kind)} - {"seconds"} <= said, kind
    assert "milliseconds" in said
    assert {mark.value for mark in Mark} <= said


def test_numbers_are_told():
    for codec in Codec:
        assert re.search(rf"\| {codec.value} \| {codec.name.lower()}|{codec.value} \| one {codec.name.lower()}", PAGE)
    for blob in BlobKind:
        assert f"| {blob.value} | {blob.name.lower()}" in PAGE
    told = re.findall(r"^\| `.*\| ([\d, ]+) \|$", PAGE, re.MULTILINE)
    assert {kind.value for kind in ObjectKind} <= {int(number) for row in told for number in row.split(",")}
    assert f"begins with {envelope.HEADER.size} bytes" in PAGE
    assert f"A row has {STORED.itemsize} bytes" in PAGE
