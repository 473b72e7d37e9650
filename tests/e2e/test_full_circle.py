"""Image a real ext4, change it, image it again, restore both, and compare every file and every byte."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from holdstill import Consistency, Mode
from holdstill_testing import volumes
from holdstill_testing.torture import dice
from holdstill_testing.volumes import MIB, allocated, attached, digest, files_in, is_clean, mounted

SIZE = 64 * MIB
pytestmark = pytest.mark.root


@pytest.fixture(params=["file", "loop device"])
def source(request, volume):
    """The same volume as a file, and as a block device on that file."""
    with ExitStack() as undo:
        yield volume if request.param == "file" else Path(undo.enter_context(attached(volume)))


def change(source):
    with mounted(source) as place:
        (place / "log").write_bytes(b"a line\n" * 9000)
        next(path for path in place.rglob("f*") if path.is_file()).unlink()


@pytest.fixture
def noisy_file(tmp_path):
    return volumes.noise(tmp_path / "noisy", SIZE, dice("noisy"))


@pytest.fixture
def larger_device(tmp_path):
    with attached(volumes.noise(tmp_path / "larger", SIZE + 3 * MIB, dice("larger"))) as device:
        yield Path(device)


def test_the_first_and_the_second_image_come_back_wherever_they_are_put(
    bench, source, tmp_path, noisy_file, larger_device
):
    before, due_before = files_in(source), bench.due(source)
    first = bench.back_up(source)
    change(source)
    after, due_after = files_in(source), bench.due(source)
    assert after != before
    second = bench.back_up(source)

    assert first.mode is Mode.OFFLINE
    assert first.consistency is Consistency.POINT_IN_TIME
    assert first.whole_volume_because is None
    assert second.sizes.stored_size < first.sizes.stored_size / 2, "only what changed is stored again"
    assert second.reused_chunks > second.new_chunks

    sparse = tmp_path / "new"
    for image, files, due in ((first.image, before, due_before), (second.image, after, due_after)):
        for target in (sparse, noisy_file, larger_device):
            result = bench.restore(image, target)
            assert result.proved
            assert volumes.digest_of_used(target, [(0, SIZE)], SIZE) == due, f"{target} is equal, zeros included"
            assert is_clean(target)
            assert files_in(target) == files
    assert digest(sparse) == due_after
    assert bench.findings() == ()
    assert bench.nothing_is_held()


def test_what_the_larger_target_has_behind_the_image_is_left_alone_and_said(bench, volume, larger_device):
    tail = larger_device.read_bytes()[SIZE:]
    result = bench.restore(bench.back_up(volume).image, larger_device)
    assert larger_device.read_bytes()[SIZE:] == tail
    assert any(str(3 * MIB) in note for note in result.notes)


def test_a_sparse_file_stays_sparse(bench, files, tmp_path):
    size = 256 * MIB
    volume = volumes.ext4(tmp_path / "thin", size, content=files)
    bench.restore(bench.back_up(volume).image, tmp_path / "new")
    assert (tmp_path / "new").stat().st_size == size
    assert allocated(tmp_path / "new") <= allocated(volume) + MIB
    bench.restore(bench.back_up(volume).image, volumes.noise(tmp_path / "noisy", size, dice("sparse")))
    assert allocated(tmp_path / "noisy") <= allocated(volume) + MIB, "what held noise is punched out again"
    assert digest(tmp_path / "new") == digest(tmp_path / "noisy") == bench.due(volume)


def test_unused_bytes_never_leave_the_host(bench, volume, tmp_path):
    secret = dice("secret").randbytes(1024)
    with volume.open("r+b") as file:
        for offset, length in volumes.free_in_ext(volume):
            file.seek(offset)
            file.write(secret * (length // len(secret)) + secret[: length % len(secret)])
    result = bench.back_up(volume)
    assert result.sizes.read_size < SIZE, "of the free space only short gaps were read"
    bench.restore(result.image, tmp_path / "new")
    restored = (tmp_path / "new").read_bytes()
    assert restored.count(secret[:64]) == 0
    assert bench.due(volume) == digest(tmp_path / "new")
    for offset, length in volumes.free_in_ext(volume):
        assert not any(restored[offset : offset + length])
    everything = bench.back_up(volume, gap_size=0)
    assert everything.sizes.stored_size > 0, "the secret is new to the repository: nothing of it was there before"
    bench.restore(everything.image, tmp_path / "everything")
    assert digest(tmp_path / "everything") == digest(volume)


def test_the_map_leaves_out_what_dumpe2fs_calls_free_and_nothing_else(bench, volume):
    used = set()
    for offset, length in bench.used(volume):
        used.update(range(offset // 1024, (offset + length) // 1024))
    free = set()
    for offset, length in volumes.free_in_ext(volume):
        free.update(range(offset // 1024, (offset + length) // 1024))
    assert used | free == set(range(SIZE // 1024))
    assert not used & free
