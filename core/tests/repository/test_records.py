"""Image records: every field comes back, and no hostile field gets through."""

from __future__ import annotations

import json

import attrs
from hypothesis import given
from hypothesis import strategies as st

from holdstill.errors import Damaged
from holdstill.model.image import Audit, Image, Origin, Sizes, Tree, Unread
from holdstill.model.managed import Managed
from holdstill.model.volume import Consistency, FilesystemFacts, Layer, Mode, Mount, VolumeFacts, VolumeKind
from holdstill.repository import canonical, envelope, records
from holdstill.repository.digests import Digests
from holdstill.repository.layout import ObjectKind, segment_key

DIGESTS = Digests("blake2b", bytes(range(32)))
KEY = "images/0000000007-" + "ab" * 16

identities = st.binary(min_size=16, max_size=16).map(bytes.hex)
texts = st.text(max_size=20)
numbers = st.integers(0, 1 << 60)
mounts = st.builds(Mount, texts, texts, texts, st.booleans(), texts, texts)
sizes = st.integers(0, 1 << 50)
layouts = texts | st.integers(65530, 200_000).map("x".__mul__)
managed = st.builds(Managed, texts, texts, st.dictionaries(texts, texts, max_size=2), layouts)


@st.composite
def images(draw):
    size, step = draw(sizes), 1 << draw(st.integers(16, 22))
    volume = VolumeFacts(
        path=draw(texts),
        device=draw(texts),
        kind=draw(st.sampled_from(VolumeKind)),
        size=size,
        logical_sector=draw(numbers),
        filesystem=draw(st.none() | st.builds(FilesystemFacts, texts, texts, texts, numbers, texts)),
        mounts=tuple(draw(st.lists(mounts, max_size=2))),
        nested=tuple(draw(st.lists(mounts, max_size=2))),
        holders=tuple(draw(st.lists(texts, max_size=2))),
        layers=tuple(draw(st.lists(st.builds(Layer, texts, texts, texts), max_size=2))),
        facts=draw(st.dictionaries(texts, texts, max_size=3)),
    )
    tree = st.builds(Tree, st.binary(min_size=32, max_size=32), st.integers(0, 9), numbers)
    return Image(
        id="ab" * 16,
        number=7,
        host=draw(texts),
        taken=draw(texts),
        volume=volume,
        mode=draw(st.sampled_from(Mode)),
        consistency=draw(st.sampled_from(Consistency)),
        sizes=Sizes(size, draw(numbers), draw(numbers), draw(numbers), draw(numbers), draw(numbers)),
        chunk_size=step,
        chunks=attrs.evolve(draw(tree), count=-(-size // step)),
        map=draw(tree),
        map_block_size=draw(numbers),
        seconds=draw(st.integers(0, 10**9)) / 1000,
        whole_volume_because=draw(st.none() | texts),
        notes=tuple(draw(st.lists(texts, max_size=2))),
        unread=(Unread(0, size),) * draw(st.integers(0, 2)),
        new_chunks=draw(numbers),
        reused_chunks=draw(numbers),
        preferences=draw(st.dictionaries(texts, texts, max_size=2)),
        segments=(segment_key(7, "cd" * 16),) * draw(st.integers(0, 2)),
        made_by=draw(texts),
        audit=draw(st.none() | st.builds(Audit, texts, numbers, numbers)),
        origin=draw(st.none() | st.builds(Origin, identities, identities)),
        managed=draw(st.none() | managed),
    )


@given(images())
def test_image_records_come_back(image):
    assert records.unseal(DIGESTS, KEY, b"".join(records.seal(DIGESTS, KEY, image))) == image


@given(images())
def test_the_record_of_an_image_that_was_not_audited_is_as_it_always_was(image):
    unaudited = attrs.evolve(image, audit=None)

    assert "audit" not in records._image_json(unaudited)
    assert records.unseal(DIGESTS, KEY, b"".join(records.seal(DIGESTS, KEY, unaudited))) == unaudited


def paths(value, at=()):
    """Every place in a JSON value."""
    yield at
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from paths(item, (*at, key))


@given(images(), st.data())
def test_a_record_with_any_field_wrong_is_damage_or_another_record(image, data):
    """Well sealed, but hostile: an error of ours, or a record that writes back as exactly what was read."""
    sealed = b"".join(records.seal(DIGESTS, KEY, image))
    body = json.loads(sealed[envelope.HEADER.size : -32])
    *way, last = data.draw(st.sampled_from([path for path in paths(body) if path]))
    inner = body
    for step in way:
        inner = inner[step]
    if data.draw(st.booleans()):
        inner[last] = data.draw(st.sampled_from([None, -1, 1 << 63, "", "x", [], {}, True, [[]], [None], {"a": 1}]))
    else:
        del inner[last]
    text = canonical.encode(body)
    try:
        record = records.unseal(DIGESTS, KEY, b"".join(envelope.seal(DIGESTS, ObjectKind.IMAGE, KEY, text)))
    except Damaged:
        return
    assert b"".join(records.seal(DIGESTS, KEY, record))[envelope.HEADER.size : -32] == text
