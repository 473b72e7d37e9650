"""Hypothesis strategies for the values of the model. Needs the extra ``holdstill-testing[property]``."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

from hypothesis import strategies as st

from holdstill.model.extents import LIMIT, Extents
from holdstill.model.image import Audit, Image, Sizes, Tree, Unread
from holdstill.model.managed import Managed
from holdstill.model.volume import (
    Consistency,
    FilesystemFacts,
    Layer,
    Mode,
    Mount,
    VolumeFacts,
    VolumeKind,
)

#: words as users and systems write them, anything a JSON string can hold included
words: Final = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
sizes: Final = st.integers(0, LIMIT)
#: object keys, as ``holdstill.spi.target.KEY`` allows them
keys: Final = st.lists(st.from_regex(r"[a-z0-9-]{1,12}", fullmatch=True), min_size=1, max_size=4).map("/".join)
blob_ids: Final = st.binary(min_size=32, max_size=32)


@st.composite
def extents(draw: st.DrawFn, size: int, *, max_runs: int = 12, unit: int = 1) -> Extents:
    """A set of bytes inside ``[0, size)``, made of whole pieces of ``unit`` bytes."""
    edges = sorted(draw(st.sets(st.integers(0, size // unit), max_size=2 * max_runs)))
    pairs = zip(edges[0::2], edges[1::2], strict=False)
    return Extents.of(*((start * unit, (end - start) * unit) for start, end in pairs))


@st.composite
def cuttings(draw: st.DrawFn, whole: Extents) -> list[Extents]:
    """Some way to cut a set into a stream of ascending windows: inside runs, between them, empty ones too."""
    cuts = sorted(draw(st.lists(st.integers(0, whole.end), max_size=6)))
    edges = [0, *cuts, whole.end]
    return [whole.clip(start, end) for start, end in pairwise(edges)]


@st.composite
def streams(draw: st.DrawFn, size: int, *, max_runs: int = 12) -> list[Extents]:
    """A stream of windows inside ``[0, size)``."""
    return draw(cuttings(draw(extents(size, max_runs=max_runs))))


filesystem_facts: Final = st.builds(
    FilesystemFacts,
    name=st.sampled_from(["ext4", "xfs", "btrfs", "LVM2_member"]) | words,
    label=words,
    uuid=words,
    block_size=st.sampled_from([0, 512, 4096, 65536]),
    detail=words,
)

mounts: Final = st.builds(
    Mount, path=words, filesystem=words, options=words, read_only=st.booleans(), root=words, namespace=words
)

volume_facts: Final = st.builds(
    VolumeFacts,
    path=words,
    device=words,
    kind=st.sampled_from(VolumeKind),
    size=sizes,
    logical_sector=st.sampled_from([512, 4096]),
    physical_sector=st.sampled_from([512, 4096]),
    filesystem=st.none() | filesystem_facts,
    mounts=st.lists(mounts, max_size=2).map(tuple),
    nested=st.lists(mounts, max_size=2).map(tuple),
    holders=st.lists(words, max_size=2).map(tuple),
    layers=st.lists(st.builds(Layer, kind=words, name=words, detail=words), max_size=2).map(tuple),
    serial=words,
    identity=words,
    facts=st.dictionaries(words, words, max_size=3),
)

trees: Final = st.builds(Tree, root=blob_ids, height=st.integers(0, 6), count=st.integers(0, 1 << 40))

images: Final = st.builds(
    Image,
    id=st.from_regex(r"[0-9a-f]{32}", fullmatch=True),
    number=st.integers(0, 10**9),
    host=words,
    taken=st.datetimes().map(lambda when: when.strftime("%Y-%m-%dT%H:%M:%SZ")),
    volume=volume_facts,
    mode=st.sampled_from([mode for mode in Mode if mode is not Mode.AUTO]),
    consistency=st.sampled_from(Consistency),
    sizes=st.builds(
        Sizes,
        volume_size=sizes,
        used_size=sizes,
        read_size=sizes,
        stored_size=sizes,
        image_size=sizes,
        cache_peak=sizes,
    ),
    chunk_size=st.sampled_from([1 << bits for bits in range(16, 23)]),
    chunks=trees,
    map=trees,
    map_block_size=st.sampled_from([512, 1024, 4096, 65536]),
    seconds=st.integers(0, 10**9).map(lambda milliseconds: milliseconds / 1000),
    whole_volume_because=st.none() | words,
    notes=st.lists(words, max_size=2).map(tuple),
    unread=st.lists(st.builds(Unread, offset=sizes, length=sizes), max_size=2).map(tuple),
    new_chunks=st.integers(0, 1 << 40),
    reused_chunks=st.integers(0, 1 << 40),
    preferences=st.dictionaries(words, words, max_size=3),
    segments=st.lists(keys, max_size=3).map(tuple),
    made_by=words,
    audit=st.none() | st.builds(Audit, by=words, ranges=sizes, size=sizes),
    managed=st.none()
    | st.builds(Managed, manager=words, client=words, facts=st.dictionaries(words, words, max_size=3), layout=words),
)
