"""``restore --resume``: what the target holds already is read and left alone, what differs is written, no byte more."""

from contextlib import ExitStack
from pathlib import Path

import attrs
import pytest

from holdstill import Engine
from holdstill.errors import RestoreRefused, UsageError
from holdstill.model.extents import Extents, union_of
from holdstill.model.requests import RestoreRequest
from holdstill_testing import volumes
from holdstill_testing.between import PutBetween
from holdstill_testing.conversations import Agreeing
from holdstill_testing.counting import CountedVolume
from holdstill_testing.fakes.memory_volume import MemoryVolume
from holdstill_testing.processes import Point, restore, run_until
from holdstill_testing.torture import dice
from holdstill_testing.volumes import MIB, attached, digest, mounted

SIZE = 64 * MIB
HEAD = Extents.whole(MIB)


@pytest.fixture(params=["file", pytest.param("loop device", marks=pytest.mark.root)])
def on(request):
    """Makes a target of a file: the file itself, or a block device on it."""
    with ExitStack() as undo:
        yield lambda path: path if request.param == "file" else Path(undo.enter_context(attached(path)))


@attrs.frozen
class Resumer:
    """Restores with ``resume``, and knows what that touched."""

    bench: object
    touched: list[CountedVolume]

    def onto(self, target, image):
        self.touched.clear()
        result = self.bench.restore(image, target, resume=True)
        assert result.proved
        assert result.kept_size == result.volume_size - self.volume.touched.union(self.head).total
        return result

    @property
    def volume(self):
        return self.touched[-1]

    @property
    def head(self):
        """It is blanked whole before anything else is touched, where anything is."""
        return HEAD if self.volume.touched else Extents.none()


@pytest.fixture
def resumer(bench):
    touched = []

    def counted(volume):
        touched.append(CountedVolume(volume))
        return touched[-1]

    engine = Engine(PutBetween(volume=counted), state=str(bench.state))
    return Resumer(attrs.evolve(bench, engine=engine), touched)


def differing(one, other, size=SIZE, block=4096):
    """The 4 KiB blocks in which two volumes differ, compared by nothing of ours."""
    with Path(one).open("rb") as first, Path(other).open("rb") as second:
        unlike = [at for at in range(0, size, block) if first.read(min(block, size - at)) != second.read(block)]
    return union_of(Extents.of((at, min(block, size - at))) for at in unlike)


def due(bench, image, place):
    """A file that holds what the image must give back."""
    bench.restore(image, place)
    return place


def test_where_all_is_equal_nothing_is_written(bench, resumer, volume, tmp_path, on):
    image = bench.back_up(volume).image
    target = on(volumes.noise(tmp_path / "target", SIZE, dice("equal")))
    bench.restore(image, target)
    result = resumer.onto(target, image)
    assert not resumer.volume.touched
    assert (result.written_size, result.kept_size) == (0, SIZE)


@pytest.mark.root
def test_onto_an_old_copy_only_what_changed_is_written(bench, resumer, volume, tmp_path, on):
    first = bench.back_up(volume).image
    with mounted(volume) as place:
        (place / "log").write_bytes(dice("log").randbytes(300_000))
        next(path for path in place.rglob("f*") if path.is_file()).unlink()
    second, whole = bench.back_up(volume).image, bench.due(volume)
    target = on(due(bench, first, tmp_path / "target"))
    unlike = differing(target, due(bench, second, tmp_path / "due"))
    assert 0 < unlike.total < SIZE / 20
    result = resumer.onto(target, second)
    assert digest(target) == whole
    assert resumer.volume.touched.difference(HEAD) == unlike.difference(HEAD)
    assert result.written_size < SIZE / 20


def test_what_is_unused_in_the_image_is_zero_afterwards(bench, resumer, volume, tmp_path, on):
    image, whole = bench.back_up(volume).image, bench.due(volume)
    target = on(volumes.noise(tmp_path / "target", SIZE + 3 * MIB, dice("noise")))
    result = resumer.onto(target, image)
    with Path(target).open("rb") as file:
        content = file.read(SIZE)
        behind = file.read()
    (tmp_path / "restored").write_bytes(content)
    assert digest(tmp_path / "restored") == whole
    noise = volumes.noise(tmp_path / "noise", SIZE + 3 * MIB, dice("noise")).read_bytes()
    assert behind == noise[SIZE:], "what lies behind the image is not the image's"
    assert result.kept_size == 0


def test_a_block_in_the_head_that_differs(bench, resumer, volume, tmp_path, on):
    image, whole = bench.back_up(volume).image, bench.due(volume)
    path = due(bench, image, tmp_path / "target")
    with path.open("r+b") as file:
        file.seek(1024)
        file.write(b"no superblock")
    target = on(path)
    resumer.onto(target, image)
    assert digest(target) == whole
    assert HEAD.covers(resumer.volume.touched)


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_after_a_kill_only_what_was_missing_is_written(bench, resumer, volume, tmp_path, on, share):
    image, whole = bench.back_up(volume).image, bench.due(volume)
    finished = due(bench, image, tmp_path / "due")
    count = on(volumes.noise(tmp_path / "count", SIZE, dice("killed")))
    total = run_until(Point(), restore, bench.url, image, str(count), str(bench.state)).calls
    target = on(volumes.noise(tmp_path / "target", SIZE, dice("killed")))
    point = Point(int(share * total))
    assert run_until(point, restore, bench.url, image, str(target), str(bench.state)).killed
    unlike = differing(target, finished)
    resumer.onto(target, image)
    assert digest(target) == whole
    assert resumer.volume.touched.difference(HEAD) == unlike.difference(HEAD)


def test_what_cannot_be_read_is_written(bench, volume, tmp_path):
    image = bench.back_up(volume).image
    expected = due(bench, image, tmp_path / "due").read_bytes()
    target = MemoryVolume(expected, str(volume))
    hurt = Extents.of((5 * MIB + 512, 700), (40 * MIB, 4096))

    class Healing(type(target.open_writer())):
        def write(self, offset, buffer):
            self.volume.unreadable = self.volume.unreadable.difference(Extents.of((offset, len(buffer))))
            super().write(offset, buffer)

    target.held = False
    for at, length in hurt:
        target.data[at : at + length] = bytes(b"\xff" * length)
    target.unreadable = hurt
    target.open_writer = lambda: Healing(target)
    engine = Engine(PutBetween(volume=lambda _: target), state=str(bench.state))
    assert attrs.evolve(bench, engine=engine).restore(image, volume, resume=True).proved
    assert target.data == expected


def test_nothing_is_written_before_the_plan_stands(bench, resumer, volume, tmp_path):
    image = bench.back_up(volume).image
    with pytest.raises(RestoreRefused):
        resumer.bench.restore(image, volumes.sparse(tmp_path / "small", MIB), resume=True)
    assert not resumer.volume.touched


def test_a_new_volume_cannot_be_resumed(bench, volume):
    image = bench.back_up(volume).image
    with pytest.raises(UsageError):
        bench.engine.restore(bench.url, RestoreRequest(image, to_new_volume="vg/new", resume=True), Agreeing())
