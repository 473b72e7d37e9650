"""Real loop devices, partitions and mounts, which are gone after each test whatever happened."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from holdstill_testing.torture import dice

#: include/uapi/linux/blkpg.h
_BLKPG = 0x1269
_BLKPG_ADD_PARTITION = 1

MIB = 1 << 20


@pytest.fixture(autouse=True)
def _root_only(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("root") and os.geteuid() != 0:
        pytest.skip("needs root")


@pytest.fixture
def undo() -> Iterator[contextlib.ExitStack]:
    """Callbacks run in reverse order when the test ends."""
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture
def noisy(tmp_path: Path) -> Callable[..., Path]:
    """Makes a file of bytes that are not zeros and not like each other."""

    def make(size: int, name: str = "image") -> Path:
        path = tmp_path / name
        path.write_bytes(dice(name).randbytes(size).replace(b"\0", b"\1"))
        return path

    return make


@pytest.fixture
def attach(undo: contextlib.ExitStack) -> Callable[..., str]:
    """Attaches a file or device to a loop device, and says which."""

    def attach(path: Path | str, *options: str) -> str:
        device = run("losetup", "--find", "--show", *options, str(path))
        undo.callback(run, "losetup", "--detach", device)
        return device

    return attach


@pytest.fixture
def partition() -> Callable[..., str]:
    """Adds a partition to a loop device that was attached with ``--partscan``. It goes when that is detached."""

    def partition(disk: str, number: int, start: int, length: int) -> str:
        told = ctypes.create_string_buffer(struct.pack("=qqi64s64s4x", start, length, number, b"", b""))
        fd = os.open(disk, os.O_RDONLY)
        try:
            request = struct.pack("=iii4xQ", _BLKPG_ADD_PARTITION, 0, len(told.raw) - 1, ctypes.addressof(told))
            fcntl.ioctl(fd, _BLKPG, request)
        finally:
            os.close(fd)
        return f"{disk}p{number}"

    return partition


@pytest.fixture
def mount(undo: contextlib.ExitStack, tmp_path: Path) -> Callable[..., str]:
    """Mounts something, and says where."""

    def mount(source: str, place: str, *options: str) -> str:
        point = tmp_path / place
        point.mkdir(parents=True, exist_ok=True)
        undo.callback(subprocess.run, ("umount", str(point)), capture_output=True)
        run("mount", *options, source, str(point))
        return str(point)

    return mount


@pytest.fixture
def ext4(tmp_path: Path, attach: Callable[..., str]) -> Callable[..., tuple[Path, str]]:
    """Makes a file with an ext4 in it, attached: the file, and the loop device."""

    def make(name: str = "ext4.img", size: int = 32 * MIB) -> tuple[Path, str]:
        path = tmp_path / name
        with path.open("wb") as file:
            file.truncate(size)
        run("mkfs.ext4", "-q", "-F", str(path))
        return path, attach(path)

    return make


@pytest.fixture
def elsewhere(undo: contextlib.ExitStack) -> Callable[..., int]:
    """Starts a process in a mount namespace of its own, which stays; says its number."""

    def start(propagation: str = "private") -> int:
        process = subprocess.Popen(
            ("unshare", "--mount", "--propagation", propagation, "sh", "-c", "echo here; exec sleep 300"),
            stdout=subprocess.PIPE,
            text=True,
        )
        undo.callback(process.wait)
        undo.callback(process.kill)
        undo.callback(process.stdout.close)
        assert process.stdout.readline() == "here\n"
        return process.pid

    return start


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout.strip()
