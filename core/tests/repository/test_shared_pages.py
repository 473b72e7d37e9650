"""Images that share pages are verified in one reading of each page, and each is told what it lacks."""

from __future__ import annotations

from collections import Counter

import attrs
import pytest

from holdstill.model.extents import Extents
from holdstill.repository import trees
from holdstill.repository.layout import BlobKind
from holdstill.repository.repository import Repository
from holdstill.repository.verify import verify
from holdstill_testing.fakes.memory_target import MemoryTarget
from holdstill_testing.tiny import CHUNK, back_up, store, tiny_config

#: pages list three chunks: these volumes share their first three pages, and the last is longer by a page
VOLUMES = ("abcdef.hi", "abcdef.hi", "abcdef.hij")


@pytest.fixture
def target():
    return MemoryTarget()


@pytest.fixture
def repository(target):
    return Repository(target, tiny_config(target))


def verified(repository, images=None):
    return verify(repository, images, read_data=False, tell=lambda _: None, cancelled=lambda: False)


def test_a_page_that_is_whole_is_read_once(repository, monkeypatch):
    read = Counter()

    def counted(reader, kind, ids, fetched=trees.fetched):
        read.update(ids if kind is BlobKind.PAGE else ())
        return fetched(reader, kind, ids)

    for _ in range(5):
        back_up(repository, VOLUMES[2])
    monkeypatch.setattr(trees, "fetched", counted)
    assert not verified(repository).findings
    # Three pages are inside of the volume; that at its end and those above are read for each image.
    assert sorted(read.values()) == [1, 1, 1, 5, 5, 5, 5]


def test_each_image_is_told_what_it_lacks(target, repository):
    images = [back_up(repository, letters) for letters in VOLUMES]
    packs = {key for key in target.objects if key.startswith("packs/")}
    for key in sorted(packs):
        gone = target.objects.pop(key)
        result = verified(Repository(target, repository.config))
        lost = {hurt.image: list(hurt.ranges) for hurt in result.hurt_ranges}
        alone = {
            image.id: list(hurt.ranges)
            for image in images
            for hurt in verified(Repository(target, repository.config), [image]).hurt_ranges
        }
        assert lost == alone
        target.objects[key] = gone
    assert not verified(Repository(target, repository.config)).findings


@pytest.mark.parametrize("shorter_first", [True, False])
def test_a_short_chunk_is_right_at_the_end_of_a_volume_only(repository, shorter_first):
    ends, short, goes_on = b"a" * CHUNK, b"b" * (CHUNK // 2), b"c" * CHUNK
    volumes = [(ends, ends, short), (ends, ends, short, goes_on)]
    images = [made_of(repository, chunks) for chunks in (volumes if shorter_first else volumes[::-1])]
    wrong = images[1 if shorter_first else 0]
    result = verified(repository)
    assert [finding.problem for finding in result.findings] == ["chunks that it needs have a wrong length"]
    assert result.hurt_images == (wrong.id,)


def made_of(repository, chunks):
    """An image whose chunks are these, wherever they are."""
    size = sum(map(len, chunks)) if len(chunks[-1]) < CHUNK else len(chunks) * CHUNK
    with repository.begin("host") as session:
        image = store(repository, session, "." * len(chunks))
        tree = session.chunks()
        for chunk in chunks:
            name = repository.ids.chunk(chunk)
            session.add(BlobKind.CHUNK, [session.encode(BlobKind.CHUNK, name, chunk)])
            tree.append(name)
        writer = session.map_writer()
        writer.add(Extents.whole(size))
        volume, sizes = attrs.evolve(image.volume, size=size), attrs.evolve(image.sizes, volume_size=size)
        return session.commit(
            attrs.evolve(image, volume=volume, sizes=sizes, chunks=tree.finish(), map=writer.finish())
        )
