"""Real loop devices and mounts, which are gone after each test whatever happened."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from holdstill.held.journal import Journal
from holdstill.model.choices import StaticMethod
from holdstill.model.volume import Mode
from holdstill.spi.still import HoldRequest
from holdstill_platforms.linux.identify import identify
from holdstill_static_unmount import plugin
from holdstill_static_unmount.linux import table
from holdstill_testing.torture import dice

MIB = 1 << 20
MAKE = {
    "ext4": (("mkfs.ext4", "-q", "-F"), 32 * MIB),
    "xfs": (("mkfs.xfs", "-q", "-f"), 320 * MIB),
    "btrfs": (("mkfs.btrfs", "-q", "-f"), 128 * MIB),
}


@pytest.fixture(autouse=True)
def _root_only(request):
    if request.node.get_closest_marker("root") and os.geteuid() != 0:
        pytest.skip("needs root")


@pytest.fixture
def undo() -> Iterator[contextlib.ExitStack]:
    """Callbacks run in reverse order when the test ends."""
    with contextlib.ExitStack() as stack:
        yield stack


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout.strip()


@pytest.fixture(name="run")
def _run():
    return run


@pytest.fixture
def device(tmp_path, undo) -> Callable[..., str]:
    """Makes a file system in a file, on a loop device."""

    def make(filesystem: str = "ext4", name: str = "volume.img") -> str:
        command, size = MAKE[filesystem]
        path = tmp_path / name
        with path.open("wb") as file:
            file.truncate(size)
        run(*command, str(path))
        loop = run("losetup", "--find", "--show", str(path))
        undo.callback(run, "losetup", "--detach", loop)
        return loop

    return make


@pytest.fixture
def mount(tmp_path, undo) -> Callable[..., str]:
    """Mounts something, private unless told otherwise, and says where."""

    def make(source: str, place: str = "mnt", *options: str) -> str:
        point = tmp_path / place
        point.mkdir(parents=True, exist_ok=True)
        run("mount", *options, source, str(point))
        undo.callback(subprocess.run, ("umount", "--lazy", str(point)), capture_output=True)
        return str(point)

    return make


@pytest.fixture
def mounted(device, mount) -> Callable[..., tuple[str, str]]:
    """A file system with a little in it, mounted: the loop device, and where."""

    def make(filesystem: str = "ext4", *options: str) -> tuple[str, str]:
        loop = device(filesystem)
        point = mount(loop, "mnt", *options)
        Path(point, "file").write_bytes(dice(filesystem).randbytes(100_000))
        Path(point, "sub").mkdir()
        return loop, point

    return make


@pytest.fixture
def journal(tmp_path, undo) -> Journal:
    """A real one."""
    folder = tmp_path / "runs"
    folder.mkdir()
    return undo.enter_context(Journal.begin(folder))


@pytest.fixture
def request_for(journal):
    """What the core asks of the provider."""

    def make(method: str = "remount", mode: Mode = Mode.STATIC, **more) -> HoldRequest:
        return HoldRequest(journal.run, journal, mode=mode, static_method=StaticMethod(method), **more)

    return make


@pytest.fixture(name="identify")
def _identify():
    return identify


@pytest.fixture
def place(mounted) -> tuple[str, str]:
    """Of the one volume of a suite: the loop device, and where it is mounted."""
    return mounted()


@pytest.fixture
def make_still_by(place, request_for):
    """The maker of a suite's stills, by one method."""

    def by(method: str):
        like = request_for(method)
        return lambda request: plugin.snapshot(
            volume=identify(place[0]),
            request=HoldRequest(request.run, request.holds, mode=like.mode, static_method=like.static_method),
        )

    return by


@pytest.fixture
def write_straight(still, place) -> Iterator[Callable[[int, bytes], None]]:
    """Writes to the device itself; put back before the still is released, so that the file system survives."""
    before = []

    def write(offset: int, content: bytes) -> None:
        with open(place[0], "r+b", buffering=0) as raw:
            before.append((offset, os.pread(raw.fileno(), len(content), offset)))
            os.pwrite(raw.fileno(), content, offset)
            os.fsync(raw.fileno())

    yield write
    with open(place[0], "r+b", buffering=0) as raw:
        for offset, content in before:
            os.pwrite(raw.fileno(), content, offset)
        os.fsync(raw.fileno())


@pytest.fixture
def table_of():
    """The rows of the mount table that are about a device, apart from the numbers the kernel gives."""

    def rows(place: str):
        return [
            (row.path, row.root, row.flags, frozenset(row.super_options.split(",")), row.filesystem, row.source)
            for row in table.read()
            if row.source == place or row.path.startswith(place)
        ]

    return rows
