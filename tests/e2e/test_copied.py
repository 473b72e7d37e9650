"""``copy``: an image in another repository is the same volume, bit for bit, under other names."""

import shutil

import attrs
import pytest

from holdstill import CopyRequest
from holdstill.errors import UsageError
from holdstill.model.image import Origin
from holdstill.repository.config import Config
from holdstill.repository.layout import CONFIG
from holdstill_testing import volumes
from holdstill_testing.conversations import Agreeing
from holdstill_testing.torture import dice
from holdstill_testing.volumes import MIB, digest
from holdstill_testing.workbench import Workbench


def repository(place, **settings):
    """A workbench with a repository of its own keys, in packs of 1 MiB."""
    config = attrs.evolve(
        Config.fresh(
            single_writer=False,
            chunk_size=settings.get("chunk_size"),
            digest=settings.get("digest"),
            codec=settings.get("codec"),
        ),
        pack_size=MIB,
    )
    bench = Workbench.at(place)
    bench.repository.mkdir(parents=True)
    (bench.repository / CONFIG).write_bytes(b"".join(config.sealed()))
    return bench


def copy(bench, other, *images, **more):
    return bench.engine.copy(bench.url, CopyRequest(other.url, images, **more), Agreeing())


@pytest.fixture
def here(tmp_path):
    return repository(tmp_path / "here")


@pytest.fixture
def imaged(here, volume):
    """Two images of a volume, and what each must give back."""
    due = {here.back_up(volume).image: here.due(volume)}
    fresh = volumes.noise(volume.with_name("fresh"), 2 * MIB, dice("copied"))
    volumes.run("debugfs", "-w", "-R", f"write {fresh} fresh", volume)
    due[here.back_up(volume).image] = here.due(volume)
    return due


def assert_equal(other, copies, due, place):
    for number, each in enumerate(copies):
        restored = place / f"restored{number}"
        assert other.restore(each.copy, restored).proved
        assert digest(restored) == due[each.image]
        restored.unlink()
    assert other.findings() == ()
    assert other.nothing_is_held()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"codec": "zlib", "digest": "blake2b"},
        {"chunk_size": 1 << 20},
    ],
    ids=["another key", "another codec and digest", "another chunk size"],
)
def test_a_copy_is_the_same_volume(here, imaged, tmp_path, settings):
    there = repository(tmp_path / "there", **settings)
    done = copy(here, there)
    assert [each.image for each in done.copies] == list(imaged)
    assert_equal(there, done.copies, imaged, tmp_path)
    for each in done.copies:
        first, second = here.engine.show(here.url, each.image), there.engine.show(there.url, each.copy)
        assert second.origin == Origin(_id_of(here), first.id)
        kept = ("host", "taken", "volume", "mode", "consistency", "chunk_size", "unread", "notes", "made_by", "seconds")
        assert [getattr(first, name) for name in kept] == [getattr(second, name) for name in kept]
        assert second.sizes.volume_size == first.sizes.volume_size
        assert second.sizes.used_size == first.sizes.used_size
        assert second.new_chunks + second.reused_chunks == first.new_chunks + first.reused_chunks


def _id_of(bench):
    return Config.unsealed((bench.repository / CONFIG).read_bytes()).repository_id


def test_the_map_comes_along(here, imaged, tmp_path):
    from holdstill.repository.opening import open_repository

    there = repository(tmp_path / "there")
    [each] = copy(here, there, next(iter(imaged))).copies
    maps = []
    for bench, name in ((here, each.image), (there, each.copy)):
        with bench.engine._plugins.storage_target(bench.url) as target:
            opened = open_repository(target)
            maps.append([list(piece) for piece in opened.blobs().map(opened.find(name))])
    assert maps[0] == maps[1] != []


def test_what_is_there_is_not_sent_again(here, imaged, volume, tmp_path):
    there = repository(tmp_path / "there")
    first = copy(here, there)
    stored = here.engine.show(here.url, first.copies[1].image)
    assert (first.copies[1].new_chunks, first.copies[1].reused_chunks) == (stored.new_chunks, stored.reused_chunks)
    assert stored.reused_chunks > 0
    assert first.copies[1].read_size <= stored.sizes.stored_size, "what did not move is not even read"
    before = there.packs()
    again = copy(here, there)
    assert all(each.already and each.read_size == 0 for each in again.copies)
    assert [each.copy for each in again.copies] == [each.copy for each in first.copies]
    assert there.packs() == before
    third = here.back_up(volume).image
    [*_, last] = copy(here, there).copies
    assert (last.image, last.already, last.new_chunks, last.read_size) == (third, False, 0, 0)


def test_a_copy_of_a_copy_is_known_everywhere(here, imaged, tmp_path):
    there, beyond = repository(tmp_path / "there"), repository(tmp_path / "beyond")
    copy(here, there)
    copies = copy(there, beyond).copies
    assert {each.origin for each in beyond.engine.images(beyond.url)} == {Origin(_id_of(here), name) for name in imaged}
    assert all(each.already for each in copy(here, beyond).copies)
    assert all(each.already for each in copy(there, here).copies), "it came from there"
    assert_equal(
        beyond,
        [attrs.evolve(each, image=image) for each, image in zip(copies, imaged, strict=True)],
        imaged,
        tmp_path,
    )


def test_which_images(here, imaged, volume, tmp_path):
    there = repository(tmp_path / "there")
    first, second = imaged
    assert copy(here, there, dry_run=True).copies[0].copy is None
    assert there.packs() == {}
    assert [each.image for each in copy(here, there, "latest", dry_run=True).copies] == [second]
    assert [each.image for each in copy(here, there, first[:12], dry_run=True).copies] == [first]
    assert [each.image for each in copy(here, there, of_volume="/no/such", dry_run=True).copies] == []
    assert len(copy(here, there, of_volume=str(volume), dry_run=True).copies) == 2


def test_its_own_repository_is_refused(here, imaged):
    with pytest.raises(UsageError):
        copy(here, here)


def test_a_damaged_image_stops_no_other(here, imaged, volume, tmp_path):
    from holdstill.repository.opening import open_repository

    other = volumes.ext4(tmp_path / "other", 16 * MIB)
    sound = here.back_up(other).image
    first = next(iter(imaged))
    with here.engine._plugins.storage_target(here.url) as target:
        opened = open_repository(target)
        reader, image = opened.blobs(), opened.find(first)
        ids = next(ids for _, _, ids in reader.walk(image.chunks, 1) if ids is not None)
        wanted = next(ids[at : at + 32] for at in range(0, len(ids), 32) if any(ids[at : at + 32]))
        [read] = reader.plan(1, [wanted])
    pack = here.repository / read.key
    content = bytearray(pack.read_bytes())
    content[read.offset] ^= 1
    pack.chmod(0o600)
    pack.write_bytes(content)
    there = repository(tmp_path / "there")
    done = copy(here, there).copies
    assert [bool(each.failed) for each in done] == [True, False, False], "the chunk of the superblock is not shared"
    assert done[2].image == sound
    assert [image.id for image in there.engine.images(there.url)] == [done[1].copy, done[2].copy]
    assert there.nothing_is_held()


def test_a_copy_that_was_given_up_is_gone_on_with(here, imaged, tmp_path):
    """The same repository, without the images that a first copy made: all that it stored is used."""
    there = repository(tmp_path / "there")
    first = copy(here, there)
    stored = sum(there.packs().values())
    for each in first.copies:
        there.engine.delete(there.url, each.copy, Agreeing())
    again = copy(here, there)
    assert not any(each.already for each in again.copies)
    assert [each.new_chunks for each in again.copies] == [0, 0]
    assert sum(there.packs().values()) - stored < 64 << 10
    assert_equal(there, again.copies, imaged, tmp_path)


def test_a_twin_that_lost_its_pages_is_done_without(here, imaged, volume, tmp_path):
    there = repository(tmp_path / "there")
    first = next(iter(imaged))
    copy(here, there, first)
    shutil.rmtree(there.repository / "packs")
    [old, fresh] = copy(here, there).copies
    assert old.already
    assert fresh.reused_chunks < fresh.new_chunks
    assert there.restore(fresh.copy, tmp_path / "restored").proved
    assert digest(tmp_path / "restored") == imaged[fresh.image]
