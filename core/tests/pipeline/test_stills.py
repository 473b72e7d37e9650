"""The two stills of core, on real files, held to the published suite."""

import os

import pytest

from holdstill.errors import VolumeBusy
from holdstill.model.volume import Consistency, Mode
from holdstill.pipeline import plainfile
from holdstill.pipeline.stills import DynamicStill, OfflineStill
from holdstill.spi.still import Exactness
from holdstill_testing.fakes.memory_volume import MemoryReader, MemoryVolume
from holdstill_testing.suites.still import StillSuite


class OnAFile(StillSuite):
    @pytest.fixture
    def volume(self, tmp_path):
        path = tmp_path / "volume"
        path.write_bytes(bytes(range(1, 251)) * 400)
        return plainfile.identify(str(path))

    @pytest.fixture
    def truth(self, volume):
        with open(volume.facts.path, "rb") as file:
            return file.read()

    @pytest.fixture
    def acquired(self):
        """Open files end with the process; so nothing lasting is ever acquired."""
        return set

    @pytest.fixture
    def change(self, volume):
        def write(offset, content):
            with open(volume.facts.path, "r+b") as file:
                file.seek(offset)
                file.write(content)

        return write


class TestOffline(OnAFile):
    @pytest.fixture
    def make_still(self, volume):
        return lambda request: OfflineStill(volume)

    @pytest.fixture
    def lose(self, change):
        return lambda: change(0, b"x")

    @pytest.fixture
    def heal(self, volume, truth):
        def back():
            with open(volume.facts.path, "r+b") as file:
                file.write(truth)

        return back


class TestDynamic(OnAFile):
    @pytest.fixture
    def make_still(self, volume):
        return lambda request: DynamicStill(volume)


def open_files():
    return len(os.listdir("/proc/self/fd"))


def test_an_offline_still_holds_the_volume_until_it_is_released():
    volume = MemoryVolume(b"x" * 4096)
    still = OfflineStill(volume)
    assert (still.mode, still.consistency, still.exactness) == (
        Mode.OFFLINE,
        Consistency.POINT_IN_TIME,
        Exactness.WHOLE,
    )
    with still.open_reader() as reader:
        assert reader.read(0, 1) == b"x"
    with pytest.raises(VolumeBusy):
        OfflineStill(volume)
    still.release()
    OfflineStill(volume).release()


def test_nothing_is_claimed_of_what_is_no_longer_held():
    still = OfflineStill(MemoryVolume(b""))
    still.release()
    assert still.untrue() == "the volume is no longer held"
    with pytest.raises(ValueError, match="released"):
        still.open_reader()


def test_no_file_stays_open(tmp_path):
    path = tmp_path / "volume"
    path.write_bytes(b"x")
    before = open_files()
    for kind in (OfflineStill, DynamicStill):
        still = kind(plainfile.identify(str(path)))
        still.open_reader().close()
        still.release()
    assert open_files() == before


class Odd(MemoryReader):
    def changed(self):
        raise OSError("no answer")


class OddVolume(MemoryVolume):
    def open_reader(self, *, exclusive):
        return Odd(self, exclusive=exclusive)


def test_not_knowing_is_a_reason_and_stays_one(monkeypatch):
    still = OfflineStill(OddVolume(b""))
    assert still.untrue() == "cannot tell whether the volume changed: no answer"
    monkeypatch.setattr(Odd, "changed", lambda self: None)
    assert still.untrue() == "cannot tell whether the volume changed: no answer"


def test_a_dynamic_still_claims_nothing_and_disturbs_nobody():
    volume = MemoryVolume(b"x" * 4096)
    with volume.open_writer():
        still = DynamicStill(volume)
        reader = still.open_reader()
        volume.change(0, b"y")
        assert reader.read(0, 2) == b"yx"
        assert still.untrue() is None
    assert (still.mode, still.consistency, still.exactness) == (Mode.DYNAMIC, Consistency.FUZZY, Exactness.FUZZY)
