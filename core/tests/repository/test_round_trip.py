"""What is backed up comes back, whatever digest, codec and shape; what is there already is not stored again."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

from holdstill.errors import ImageMissing, RepositoryExists, RepositoryMissing, TargetUnfit, UsageError
from holdstill.model.extents import Extents
from holdstill.repository.keys import Cost
from holdstill.repository.layout import ZERO_ID, BlobKind
from holdstill.repository.opening import create, open_repository
from holdstill_testing.fakes.memory_target import PROPERTIES, MemoryTarget

SCRIPT = Path(__file__).parents[3] / "docs/how-to/restore_image.py"


@pytest.mark.parametrize("digest", ["blake3", "blake2b"])
@pytest.mark.parametrize("codec", ["zstd", "zlib"])
def test_every_digest_and_codec(digest, codec, target, keeper):
    repository = create(target, chunk_size=65536, digest=digest, codec=codec)
    data, used = keeper.data(40), Extents.of((0, 4096), (1 << 20, 65536))
    image = keeper.backup(repository, data, used)
    again = open_repository(target)
    assert again.images() == [image]
    assert keeper.restore(again, image) == data
    assert keeper.used(again, image) == used
    assert keeper.verify(again).findings == ()


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537])
def test_small_volumes(size, repository, keeper):
    data = os.urandom(size)
    image = keeper.backup(repository, data)
    assert keeper.restore(repository, image) == data
    assert keeper.verify(repository).findings == ()


def test_a_second_backup_stores_only_what_is_new(repository, keeper):
    data = keeper.data(60)
    first = keeper.backup(repository, data)
    changed = data[:-7] + b"another"
    second = keeper.backup(repository, changed)
    third = keeper.backup(repository, changed)
    assert first.sizes.stored_size > 20 * 65536
    assert 0 < second.sizes.stored_size < 65536
    assert third.sizes.stored_size == 0 == len(third.segments)
    assert third.sizes.image_size == second.sizes.image_size
    assert keeper.restore(repository, first) == data
    assert keeper.restore(repository, third) == changed


def test_equal_chunks_of_one_volume_are_stored_and_counted_once(repository, keeper):
    chunk = os.urandom(65536)
    once, often = keeper.backup(repository, chunk), keeper.backup(repository, chunk * 50)
    assert once.sizes.image_size == often.sizes.image_size == 65536


def test_packs_are_cut_at_their_size_and_hold_everything(repository, target, keeper):
    data = os.urandom(40 << 20)
    image = keeper.backup(repository, data)
    packs = [len(whole) for key, whole in target.objects.items() if key.startswith("packs/")]
    assert len(packs) >= 3
    assert max(packs) < (16 << 20) + 2 * 65536
    segments = [len(whole) for key, whole in target.objects.items() if key.startswith("index/")]
    assert image.sizes.stored_size == sum(packs) + sum(segments)
    assert keeper.restore(repository, image) == data


def test_zero_chunks_are_known_and_never_stored(repository, target, keeper):
    image = keeper.backup(repository, bytes(10 << 20), Extents.none())
    assert image.chunks.root == ZERO_ID
    assert image.sizes.stored_size == 0
    assert not any(key.startswith("packs/") for key in target.objects)
    with repository.begin("host") as session:
        assert session.known(BlobKind.CHUNK, [ZERO_ID]) == [True]
        assert session.need(BlobKind.CHUNK, [ZERO_ID]) == 0


def test_plan_reads_each_pack_in_few_pieces(repository, target, keeper):
    data = os.urandom(12 << 20)
    image = keeper.backup(repository, data)
    reader = repository.blobs()
    ids = b"".join(ids for _, _, ids in reader.walk(image.chunks, BlobKind.CHUNK))
    wanted = [ids[at : at + 32] for at in range(0, len(ids), 32)]
    reads = reader.plan(BlobKind.CHUNK, wanted + wanted + [ZERO_ID])
    assert len(reads) == 2
    assert all(read.length <= 8 << 20 for read in reads)
    found = [chunk_id for read in reads for chunk_id, _ in reader.fetch(read)]
    assert sorted(found) == sorted(wanted)


def test_find_by_prefix_and_latest(repository, keeper):
    first, second = keeper.backup(repository, b"one", path="/a"), keeper.backup(repository, b"two", path="/a")
    assert repository.find(first.id) == first
    assert repository.find(second.id[:12]) == second
    assert repository.find("latest") == second
    keeper.backup(repository, b"three", path="/b")
    with pytest.raises(ImageMissing, match="several volumes"):
        repository.find("latest")
    assert repository.find("latest", "/a") == second
    with pytest.raises(ImageMissing):
        repository.find("latest", "/c")
    with pytest.raises(ImageMissing, match="no image begins"):
        repository.find("g")
    with pytest.raises(ImageMissing):
        repository.find("")


def test_forget_leaves_other_images_whole(repository, target, keeper):
    data = keeper.data(30)
    first, second = keeper.backup(repository, data), keeper.backup(repository, data)
    repository.forget(first)
    assert repository.images() == [second]
    with pytest.raises(ImageMissing):
        repository.forget(first)
    assert keeper.restore(repository, second) == data
    target.objects = {key: whole for key, whole in target.objects.items() if not key.startswith("index/9")}
    assert keeper.verify(repository).findings == ()


def test_making_and_opening_refuse_what_makes_no_sense(target):
    with pytest.raises(RepositoryMissing):
        open_repository(target)
    for size in (0, 65535, 100_000, 8 << 20):
        with pytest.raises(UsageError):
            create(target, chunk_size=size)
    with pytest.raises(UsageError):
        create(target, digest="md5")
    assert target.objects == {}
    create(target)
    with pytest.raises(RepositoryExists):
        create(target)


def test_without_exclusive_creation_it_is_single_writer(keeper):
    target = MemoryTarget(properties=attrs.evolve(PROPERTIES, put_if_absent=False))
    repository = create(target, chunk_size=65536)
    assert repository.config.single_writer
    data = keeper.data(12)
    image = keeper.backup(repository, data)
    assert keeper.restore(open_repository(target), image) == data
    assert keeper.backup(repository, data).number == image.number + 1


def test_a_target_that_lost_exclusive_creation_is_refused(repository, target):
    target.put_if_absent = lambda key, parts: target.put(key, parts) or True
    with pytest.raises(TargetUnfit):
        repository.begin("host")
    assert not any(key.startswith("probe/") for key in target.objects)


@pytest.mark.parametrize("password", [None, b"correct horse"], ids=["open", "sealed"])
@pytest.mark.parametrize("digest", ["blake3", "blake2b"])
def test_the_stand_alone_script_restores(digest, password, tmp_path, target, keeper, monkeypatch):
    monkeypatch.setenv("HOLDSTILL_PASSWORD", "correct horse")
    repository = create(target, chunk_size=65536, digest=digest, password=password, cost=Cost(n=2, r=1, p=1))
    data = keeper.data(1500)
    image = keeper.backup(repository, data)
    keeper.backup(repository, b"something else")
    folder, out = tmp_path / "repository", tmp_path / "out"
    for key, whole in target.objects.items():
        place = folder / key
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(whole)
    done = subprocess.run(
        [sys.executable, "-I", SCRIPT, folder, image.id[:10], out], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert out.read_bytes() == data
    assert out.stat().st_blocks * 512 < len(data)
    pack = max(folder.glob("packs/*/*"), key=lambda path: path.stat().st_size)
    whole = bytearray(pack.read_bytes())
    whole[1000] ^= 4
    pack.write_bytes(whole)
    out.unlink()
    done = subprocess.run(
        [sys.executable, "-I", SCRIPT, folder, image.id, out], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert re.search("missing or damaged", done.stderr)


def test_the_stand_alone_script_is_short_and_alone():
    text = SCRIPT.read_text()
    assert len(text.splitlines()) < 250
    assert not re.search(r"^\s*(from|import) holdstill", text, re.MULTILINE)
