"""Devices of another machine, read and written with its dd: loop devices, through a real sshd."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import attrs
import pytest

from holdstill.errors import (
    MachineError,
    MachineLost,
    ReadFault,
    VolumeDenied,
    VolumeMissing,
    VolumeUnusable,
    WriteFault,
)
from holdstill_remote.dd import Dd
from holdstill_remote.reader import SshReader
from holdstill_remote.writer import SshWriter
from holdstill_testing.suites.reader import ReaderSuite
from holdstill_testing.torture import dice, rounds

pytestmark = pytest.mark.root
PLAIN = Dd(gnu=False, seeks=False)


def size_of(device):
    with open(device, "rb") as file:
        return file.seek(0, os.SEEK_END)


@pytest.fixture(params=["gnu", "posix"])
def dd(request, machine):
    return machine._dd if request.param == "gnu" else PLAIN


class TestReader(ReaderSuite):
    @pytest.fixture
    def reader(self, connection, local, dd, small):
        with SshReader(connection, local, dd, small, size_of(small)) as reader:
            yield reader

    @pytest.fixture
    def truth(self, small):
        return Path(small).read_bytes()


def test_what_this_dd_can_do(machine):
    assert machine._dd.gnu


@pytest.mark.parametrize(
    ("more", "said"), [(512, "ends before|does not end"), (-512, "it does not end after"), (1 << 30, "ends before")]
)
def test_a_device_of_another_size(machine, device, more, said):
    with pytest.raises(VolumeUnusable, match=said):
        machine.open_reader(device, size_of(device) + more)
    with pytest.raises(VolumeUnusable, match=said):
        machine.open_writer(device, size_of(device) + more)


def test_a_device_that_is_not_there(machine):
    with pytest.raises(VolumeMissing, match="ssh://there/dev/no-such: there is no such volume"):
        machine.open_reader("/dev/no-such", 4096)


class Halfway(Dd):
    """Writes half of what it was asked for, says so in a file, and then nothing more."""

    def reading(self, device, piece, *, direct):
        half = attrs.evolve(piece, count=piece.count // 2)
        wait = f"touch {device}.half; until test -e {device}.end; do sleep .1; done"
        return f"{super().reading(device, half, direct=direct)}; {wait}"


def test_a_connection_that_ends_in_the_middle_is_no_bad_range(connection, local, tmp_path, cut):
    """Not even the end of the volume: nothing but that it is lost."""
    path = tmp_path / "file"
    path.write_bytes(os.urandom(4 << 20))
    outcome = []

    def read():
        try:
            outcome.append(reader.read(0, 4 << 20))
        except MachineError as error:
            outcome.append(error)

    with SshReader(connection, local, Halfway(gnu=False, seeks=False), str(path), 4 << 20) as reader:
        thread = threading.Thread(target=read)
        thread.start()
        while not Path(f"{path}.half").exists():
            thread.join(0.01)
        cut(connection)
        thread.join()
    Path(f"{path}.end").touch()
    assert [type(each) for each in outcome] == [MachineLost]


def test_a_device_that_gets_shorter_is_a_bad_range_and_not_an_end(connection, local, dd, tmp_path):
    """A file in the place of a device: it can be cut."""
    path = tmp_path / "file"
    path.write_bytes(os.urandom(1 << 20))
    with SshReader(connection, local, dd, str(path), 1 << 20) as reader:
        os.truncate(path, (512 << 10) + 100)
        with pytest.raises(ReadFault) as fault:
            reader.read(256 << 10, 512 << 10)
        assert (fault.value.offset, fault.value.length) == (256 << 10, 512 << 10)
        assert "it gave 262244 bytes" in str(fault.value)
        assert reader.read(0, 4096) == path.read_bytes()[:4096]
        assert "cannot be told" in reader.changed()


@pytest.mark.parametrize("missing", [1, 20, 36, 40, 100])
def test_a_read_that_is_short_by_a_few_bytes(connection, local, tmp_path, missing):
    path = tmp_path / "file"
    path.write_bytes(os.urandom(1 << 20))
    with SshReader(connection, local, PLAIN, str(path), 1 << 20) as reader:
        os.truncate(path, (1 << 20) - missing)
        with pytest.raises(ReadFault, match=f"it gave {(1 << 20) - missing} bytes"):
            reader.read(0, 1 << 20)


def test_what_is_written_is_there(connection, local, dd, device):
    size = size_of(device)
    truth = bytearray(Path(device).read_bytes())
    rolls = dice("remote writes")
    with SshWriter(connection, local, dd, device, size) as writer:
        for _ in range(rounds(8)):
            offset = rolls.randrange(size // 512) * 512
            length = min(rolls.choice([512, 4096, 1 << 20, 3 << 20]), size - offset)
            if rolls.random() < 0.5:
                writer.zero(offset, length)
                truth[offset : offset + length] = bytes(length)
            else:
                content = rolls.randbytes(length)
                writer.write(offset, content)
                truth[offset : offset + length] = content
        writer.flush()
        with writer.reader() as reader:
            assert reader.read(0, size) == truth
    assert Path(device).read_bytes() == truth


def test_several_threads_write_and_zero(machine, device):
    size, step = size_of(device), 128 << 10
    noise = [os.urandom(step) for _ in range(12)]
    with machine.open_writer(device, size) as writer:
        jobs = [threading.Thread(target=writer.write, args=(2 * at * step, noise[at])) for at in range(12)]
        jobs += [threading.Thread(target=writer.zero, args=((2 * at + 1) * step, step)) for at in range(11)]
        for job in jobs:
            job.start()
        for job in jobs:
            job.join()
        writer.flush()
    with open(device, "rb") as file:
        for content in noise[:11]:
            assert file.read(step) == content
            assert file.read(step) == bytes(step)


def test_what_cannot_be_written(connection, local, machine, tmp_path):
    """/dev/full in the place of a device."""
    path = tmp_path / "file"
    path.write_bytes(bytes(4096))
    with SshWriter(connection, local, machine._dd, str(path), 4096) as writer:
        path.unlink()
        path.symlink_to("/dev/full")
        with pytest.raises(WriteFault, match=r"4096 bytes at 0 cannot be written: .*No space left"):
            writer.write(0, b"x" * 4096)
        with pytest.raises(WriteFault, match="4096 bytes at 0 cannot be zeroed"):
            writer.zero(0, 4096)
        with pytest.raises(WriteFault):
            writer.flush()


def test_a_connection_that_ends_while_writing(connection, machine, device, cut):
    with machine.open_writer(device, size_of(device)) as writer:
        writer.zero(0, 4096)
        cut(connection)
        with pytest.raises(MachineLost):
            writer.zero(0, 4096)


def test_what_is_no_whole_sector_is_not_written(machine, device):
    with machine.open_writer(device, size_of(device)) as writer:
        with pytest.raises(ValueError, match="no whole sectors"):
            writer.write(0, b"x")
        with pytest.raises(ValueError, match="outside the volume"):
            writer.write(writer.size, b"x" * 512)
    with pytest.raises(ValueError, match="closed"):
        writer.write(0, b"x" * 512)


def test_a_device_that_may_not_be_read(connection, local, tmp_path, device, monkeypatch):
    """root may read everything: seen by somebody who may not."""
    machine = Nobody(connection, local)
    with pytest.raises(VolumeDenied, match="it may not be read"):
        PLAIN.opened(machine, device, size_of(device), "subject")


class Nobody:
    """Every program is run as nobody."""

    def __init__(self, connection, local):
        from holdstill_remote.programs import SshRunner

        self.runner = SshRunner(connection, "asking", local)

    def ask(self, argv, *, limit):
        return self.runner.ask(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *argv], limit=limit)
