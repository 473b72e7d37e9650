"""The largest file systems, and those that only say that they are: few reads, and little memory."""

from __future__ import annotations

import struct
import subprocess
import sys

from holdstill_filesystems.ext import superblock


def test_a_sparse_16_tib_file_system(tmp_path, e2fs):
    """131064 groups, nearly all never written: few reads, and little memory beside the process's own."""
    path = tmp_path / "huge.img"
    with path.open("wb") as image:
        image.truncate(16383 << 30)
    e2fs("mke2fs", "-q", "-F", "-t", "ext4", path)
    header = dict(line.split(":", 1) for line in e2fs("dumpe2fs", "-h", path).splitlines() if ":" in line)
    used = (int(header["Block count"]) - int(header["Free blocks"])) * int(header["Block size"])

    script = """
import sys
from holdstill_filesystems import plugin
from holdstill_testing.fakes.file_reader import FileReader
with FileReader(sys.argv[1]) as reader:
    answer = plugin.enumerate_used_blocks(reader, plugin.recognise(reader))
    print(sum(window.total for window in answer.windows), reader.reads)
# VmHWM begins anew with a program, ru_maxrss does not: it would be that of the test's own process.
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
    told = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True).stdout
    total, reads, peak_kib = map(int, told.split())

    assert total == used
    assert reads < 16384
    assert peak_kib < 150 << 10


def test_a_hostile_sparse_file_system_of_many_groups_is_bounded(tmp_path, e2fs, answer, bounded_memory):
    """Descriptors of zeros for millions of groups: refused at the first, not after reading all."""
    path = tmp_path / "many.img"
    with path.open("wb") as image:
        image.truncate(4 << 40)
    e2fs("mke2fs", "-q", "-F", "-t", "ext2", "-b", "1024", "-g", "8192", "-O", "^resize_inode", path, str(8 << 20))
    with path.open("r+b") as image:
        image.seek(1024 + next(at for name, at, _ in superblock.LAYOUT.fields if name == "blocks_count_lo"))
        image.write(struct.pack("<I", 0xFFFFFFF0))

    with bounded_memory():
        assert isinstance(answer(path), str)
