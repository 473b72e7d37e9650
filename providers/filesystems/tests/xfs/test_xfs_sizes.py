"""The largest file systems, and free space in as many pieces as possible: few reads, and little memory."""

from __future__ import annotations

import re
import struct
import subprocess
import sys

import numpy as np
import pytest

from holdstill.model.extents import Extents
from holdstill_filesystems.xfs.usedmap import used_blocks
from holdstill_testing import volumes
from holdstill_testing.destruction import bounded
from holdstill_testing.fakes.file_reader import FileReader
from holdstill_testing.xfs_forge import shatter

#: the largest file that ext4 takes
LARGEST = 16383 << 30

ASK = """
import sys
from holdstill_filesystems import plugin
from holdstill_testing.fakes.file_reader import FileReader
with FileReader(sys.argv[1]) as reader:
    answer = plugin.enumerate_used_blocks(reader, plugin.recognise(reader))
    print(sum(window.total for window in answer.windows), reader.reads)
# VmHWM begins anew with a program, ru_maxrss does not: it would be that of the test's own process.
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.fixture
def asked():
    """The bytes in use, how many reads that took, and the most memory in KiB, in a process of its own."""

    def ask(path):
        told = subprocess.run([sys.executable, "-c", ASK, path], capture_output=True, text=True, check=True).stdout
        return map(int, told.split())

    return ask


def test_a_sparse_16_tib_file_system(tmp_path, xfs, asked):
    path = volumes.sparse(tmp_path / "huge.img", LARGEST)
    xfs("mkfs.xfs", "-q", "-l", "size=64m", path)
    free = int(re.search(r"fdblocks = (\d+)", xfs("xfs_db", "-r", "-c", "sb 0", "-c", "p fdblocks", path)).group(1))

    used, reads, peak_kib = asked(path)

    # blocks that are kept for the trees count as free there: 4 in each of 16 groups
    assert used == path.stat().st_size - (free - 16 * 4) * 4096
    assert reads < 400
    assert peak_kib < 150 << 10


@pytest.mark.parametrize(("block", "runs", "levels"), [(4096, 200_000, 3), (1024, 40_000, 3), (512, 3000, 3)])
def test_every_second_run_of_blocks_is_free(tmp_path, xfs, asked, said, block, runs, levels):
    """Trees of several levels, as version 4 has them; xfs_db reads them too."""
    path = volumes.sparse(tmp_path / "shattered.img", 64 << 30)
    xfs("mkfs.xfs", "-q", "-m", "crc=0", "-b", f"size={block}", "-l", "agnum=0,size=20m", path)
    free = shatter(path, 1, runs)
    told = xfs(
        "xfs_db",
        "-r",
        "-c",
        "sb 0",
        "-c",
        "p agblocks",
        "-c",
        "agf 1",
        "-c",
        "p bnolevel cntlevel",
        "-c",
        "freesp -a 1 -s",
        path,
    )
    assert f"bnolevel = {levels}\ncntlevel = {levels}\n" in told
    kept = 4
    assert int(re.search(r"total free extents (\d+)", told).group(1)) == runs + kept
    group = int(re.search(r"agblocks = (\d+)", told).group(1)) * block

    used = said(path).clip(group, 2 * group)

    assert used == Extents.from_arrays(free[:, 0], free[:, 1]).complement(2 * group).clip(group, 2 * group)
    _, _, peak_kib = asked(path)
    assert peak_kib < 150 << 10


def test_many_groups_that_are_not_there(tmp_path, xfs, said):
    """A million groups of zeros: refused at the first, in little memory."""
    path = volumes.sparse(tmp_path / "many.img", LARGEST)
    xfs("mkfs.xfs", "-q", "-m", "crc=0", "-d", f"agsize={16 << 20},size={64 << 20}", "-l", "size=5m", path)
    with path.open("r+b") as image:
        groups = LARGEST // (16 << 20)
        image.seek(8)
        image.write(struct.pack(">Q", groups * 4096))
        image.seek(88)
        image.write(struct.pack(">I", groups))

    with bounded(64 << 20):
        assert said(path) == "the AGF of allocation group 4 cannot be true: magic"


def test_the_runs_are_told_in_pieces(tmp_path, xfs):
    """No window needs the memory of all."""
    path = volumes.sparse(tmp_path / "pieces.img", 64 << 30)
    xfs("mkfs.xfs", "-q", "-m", "crc=0", "-l", "agnum=0,size=20m", path)
    shatter(path, 1, 300_000)

    with FileReader(path) as reader:
        sizes = np.array([len(window) for window in used_blocks(reader).windows])

    assert sizes.sum() > 300_000
    assert sizes.max() < 150_000
