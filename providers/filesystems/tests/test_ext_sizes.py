"""File systems that are not as large as their volume, that grew, or that their volume is too small for."""

from __future__ import annotations

import subprocess

import pytest

from holdstill.model.blockmap import BlockMap, WholeVolume
from holdstill.model.extents import Extents, union_of
from holdstill_filesystems import plugin
from holdstill_testing.fakes.file_reader import FileReader

MIB = 1 << 20


def read(path):
    with FileReader(path) as reader:
        answer = plugin.enumerate_used_blocks(reader, plugin.recognise(reader))
        return (answer, union_of(answer.windows)) if isinstance(answer, BlockMap) else (answer, None)


@pytest.fixture
def image(new_ext):
    return new_ext("-t ext4 -b 1024")


class TestALongerVolume:
    def test_a_short_tail_is_taken_along(self, image):
        subprocess.run(["truncate", "-s", str(24 * MIB + 5000), image.path], check=True)
        answer, used = read(image.path)

        assert used.clip(24 * MIB, 25 * MIB) == Extents.of((24 * MIB, 5000))
        assert "taken as they are" in answer.notes[0]

    def test_a_long_tail_of_nothing_is_left_out(self, image):
        subprocess.run(["truncate", "-s", str(100 * MIB), image.path], check=True)
        answer, used = read(image.path)

        assert used.end <= 24 * MIB
        assert "left out" in answer.notes[0]

    def test_a_long_tail_that_ends_with_something_is_taken(self, image):
        """There may be the superblock of a mirror."""
        with image.path.open("r+b") as file:
            file.seek(100 * MIB - 60_000)
            file.write(b"somebody's metadata")
            file.truncate(100 * MIB)
        _, used = read(image.path)

        assert used.clip(24 * MIB, 100 * MIB).total == 76 * MIB


def test_a_volume_that_is_too_small(image):
    subprocess.run(["truncate", "-s", str(24 * MIB - 512), image.path], check=True)
    answer, _ = read(image.path)

    assert isinstance(answer, WholeVolume)
    assert "but the volume only" in answer.reason


@pytest.mark.parametrize("size", ["20M", "90M"])
def test_resized_while_it_was_not_mounted(image, size, e2fs, tmp_path):
    e2fs("truncate", "-s", "90M", image.path)
    e2fs("resize2fs", image.path, size, ok=(0,))
    end = int(image.header()["Block count"]) * 1024

    assert image.map().clip(0, end) == image.truth()
    assert image.missing_from(image.destroyed(tmp_path / "destroyed.img", image.map())) is None


class TestNotTrusted:
    def test_errors_were_found(self, image, e2fs):
        e2fs("debugfs", "-w", "-R", "ssv state 3", image.path)

        assert "marked as having errors" in read(image.path)[0].reason

    def test_not_unmounted_and_no_journal(self, new_ext, e2fs):
        image = new_ext("-t ext2 -b 1024")
        e2fs("debugfs", "-w", "-R", "ssv state 0", image.path)

        assert "not unmounted cleanly" in read(image.path)[0].reason

    def test_a_log_that_nobody_says_is_needed(self, image, e2fs, tmp_path):
        (tmp_path / "block").write_bytes(b"x" * 1024)
        e2fs("debugfs", "-w", "-f", "-", image.path, input=f"jo -c\njw -b 9000 {tmp_path}/block\njc\n")
        e2fs("debugfs", "-w", "-R", "feature -needs_recovery", image.path)

        assert "although nothing says" in read(image.path)[0].reason
