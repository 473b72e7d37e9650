"""What directories say is in use. Cameras and the like leave no mark when they are cut off between two writes."""

from __future__ import annotations

import shutil
import struct
import subprocess

import pytest

from holdstill.model.extents import Extents
from holdstill_filesystems import plugin
from holdstill_filesystems.fat.bootsector import BootSector
from holdstill_testing.destruction import answer
from holdstill_testing.fakes.file_reader import FileReader

MIB = 1 << 20
CONTENT = b"precious" * 50
DIRECTORY = 0x10


def said(path):
    with FileReader(path) as reader:
        return answer(reader, plugin)


def written(path, at, data):
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


@pytest.fixture(params=["-F 12", "-F 16 -s 4", "-F 32 -s 1"])
def path(request, tmp_path):
    """A file of one cluster in a directory of many clusters, in another directory."""
    if not shutil.which("mcopy"):
        pytest.skip("mtools are not installed")
    path, content = tmp_path / "own.img", tmp_path / "content"
    with path.open("wb") as file:
        file.truncate((4 if "12" in request.param else 40) * MIB)
    content.write_bytes(CONTENT)
    empty = [tmp_path / f"{number}-so-long-a-name-that-it-takes-a-few-entries" for number in range(70)]
    for file in empty:
        file.touch()
    for command in (
        ("mkfs.fat", *request.param.split(), path),
        ("mmd", "-i", path, "::one", "::one/two"),
        ("mcopy", "-i", path, *empty, "::one/two"),
        ("mcopy", "-i", path, content, "::one/two/last"),
    ):
        subprocess.run(command, check=True, capture_output=True)
    return path


def place_of_content(path):
    data = path.read_bytes()
    with FileReader(path) as reader:
        boot = BootSector.read(reader)
    return boot, data.index(CONTENT), data.index(b"LAST       ")


def free(path, boot, cluster):
    """Call a cluster free in both copies of the table, and let FSInfo know of no count."""
    for copy in range(boot.copies):
        at = boot.table_start + copy * boot.table_size + cluster * boot.bits // 8
        with FileReader(path) as reader:
            was = int.from_bytes(reader.read(at, 4), "little")
        mask = ((1 << boot.bits) - 1) << cluster * boot.bits % 8
        written(path, at, (was & ~mask).to_bytes(4, "little"))
    if boot.is_fat32:
        written(path, boot.sector_size + 488, b"\xff" * 4)


def test_a_file_that_begins_in_a_free_cluster(path):
    boot, content, _ = place_of_content(path)
    assert isinstance(said(path), Extents)

    free(path, boot, (content - boot.data_start) // boot.cluster_size + 2)

    assert "a file begins in cluster" in said(path)


def test_a_file_that_begins_outside(path):
    boot, _, entry = place_of_content(path)

    high, low = divmod(boot.clusters + 2, 1 << 16)
    written(path, entry + 20, struct.pack("<H", high))
    written(path, entry + 26, struct.pack("<H", low))

    assert "does not exist" in said(path)


def test_a_deleted_file_and_what_lies_behind_the_end_are_not_asked(path):
    boot, content, entry = place_of_content(path)
    free(path, boot, (content - boot.data_start) // boot.cluster_size + 2)

    written(path, entry, b"\xe5")
    assert isinstance(said(path), Extents)
    written(path, entry, b"\0")
    assert isinstance(said(path), Extents)


def test_a_directory_that_leads_to_itself(path):
    _, content, entry = place_of_content(path)
    written(path, entry + 11, bytes([DIRECTORY]))
    start = struct.unpack_from("<H", path.read_bytes(), entry + 26)[0]
    loop = b"LOOP       " + bytes([DIRECTORY]) + bytes(14) + struct.pack("<H", start) + bytes(4)
    written(path, content, (loop + bytes(32)).ljust(len(CONTENT), b"\0"))

    assert isinstance(said(path), Extents)


def test_more_directories_than_are_looked_through(path, monkeypatch):
    monkeypatch.setattr("holdstill_filesystems.fat.directories._MOST_CLUSTERS", 2)

    assert "more than 2 clusters" in said(path)
