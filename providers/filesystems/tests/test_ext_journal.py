"""File systems that were not unmounted: the map must be that of the file system as its journal would leave it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct

import numpy as np
import pytest

from holdstill.errors import StructureFault
from holdstill.model.blockmap import BlockMap, WholeVolume
from holdstill.model.extents import union_of
from holdstill_filesystems import plugin
from holdstill_filesystems.blocks import Blocks
from holdstill_filesystems.ext.journal import Journal
from holdstill_filesystems.ext.replay import Replay
from holdstill_filesystems.ext.superblock import Superblock
from holdstill_testing.fakes.file_reader import FileReader
from holdstill_testing.torture import dice, rounds

#: include/uapi/linux/ext4.h: EXT4_IOC_SHUTDOWN, and its flags "with the log written" and "at once"
SHUTDOWN, LOGFLUSH, NOLOGFLUSH = 0x8004587D, 1, 2

KERNEL_JOURNALS = {
    "ext4": ("-t ext4 -b 1024", "defaults"),
    "ext4-4k": ("-t ext4 -b 4096", "defaults"),
    "ext3": ("-t ext3 -b 1024", "defaults"),
    "64bit-no-checksums": ("-t ext4 -b 1024 -O ^metadata_csum", "defaults"),
    "32bit-checksums": ("-t ext4 -b 1024 -O ^64bit", "defaults"),
    "version-1-checksums": ("-t ext4 -b 1024 -O ^metadata_csum", "journal_checksum"),
    "version-1-async": ("-t ext4 -b 1024 -O ^metadata_csum", "journal_async_commit,data=writeback"),
    "version-3-async": ("-t ext4 -b 1024", "journal_async_commit,data=writeback"),
    "data-in-the-journal": ("-t ext4 -b 1024", "data=journal"),
    "bigalloc": ("-t ext4 -b 1024 -O bigalloc -C 8192", "defaults"),
    "orphan-file": ("-t ext4 -b 1024 -O orphan_file", "defaults"),
}


def shut_down(mount, flags):
    """Let the file system fail as if the power went; the journal stays as it is."""
    directory = os.open(mount, os.O_RDONLY)
    fcntl.ioctl(directory, SHUTDOWN, struct.pack("I", flags))
    os.close(directory)


def sync(mount):
    """Commit, and write nothing home: what is in the log is only there."""
    directory = os.open(mount, os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)


def work(mount, rounds_of_work):
    """Create, grow and delete, with a commit now and then; files whose first bytes are the journal's own magic too."""
    chance = dice("work")
    for number in range(rounds_of_work):
        folder = mount / f"new{number % 9}"
        folder.mkdir(exist_ok=True)
        (folder / f"file{number}").write_bytes(b"\xc0\x3b\x39\x98" * 300 + chance.randbytes(chance.randrange(40_000)))
        if number % 3 == 2:
            (folder / f"file{number}").unlink()
        if number % 10 == 9:
            sync(mount)
    for file in (mount / "new4").iterdir():
        file.unlink()
    (mount / "new4").rmdir()
    sync(mount)


def replayed_by_e2fsck(image, to, e2fs):
    fixed = image.copy(to)
    e2fs("e2fsck", "-fy", "-E", "journal_only", to, ok=(0, 1))
    return fixed


def map_of(image):
    with FileReader(image.path) as reader:
        answer = plugin.enumerate_used_blocks(reader, plugin.recognise(reader))
        if isinstance(answer, WholeVolume):
            return answer.reason
        return union_of(answer.windows), answer.notes


def differing_blocks(image, fixed):
    """The blocks that our replay and e2fsck's see differently."""
    with FileReader(image.path) as reader, FileReader(fixed.path) as theirs:
        superblock = Superblock.read(reader)
        plain = Blocks(reader, superblock.block_size, superblock.blocks)
        journal = Journal.read(superblock, plain)
        ours = Blocks(reader, superblock.block_size, superblock.blocks, Replay(journal)).read(0, plain.count, "all")
        expected = Blocks(theirs, superblock.block_size, superblock.blocks).read(0, plain.count, "all")
    # e2fsck marks the journal as empty and the file system as recovered
    own = {1024 // superblock.block_size, int(journal.places[0])}
    return set(np.flatnonzero((ours != expected).any(axis=1)).tolist()) - own


@pytest.mark.root
@pytest.mark.parametrize(
    ("name", "flags"), [*((name, LOGFLUSH) for name in KERNEL_JOURNALS), ("ext4", NOLOGFLUSH), ("ext3", NOLOGFLUSH)]
)
def test_a_file_system_that_was_cut_off(name, flags, new_ext, mounted, ext_image, tmp_path, e2fs):
    options, mount_options = KERNEL_JOURNALS[name]
    live = new_ext(options)
    mount = mounted(live.path, mount_options)
    work(mount, 40)
    (mount / "late").write_bytes(b"x" * 50_000)
    shut_down(mount, flags)
    image = live.copy(tmp_path / "cut.img")
    assert "needs_recovery" in image.header()["Filesystem features"]

    used, notes = map_of(image)
    fixed = replayed_by_e2fsck(image, tmp_path / "fixed.img", e2fs)

    assert notes[0].startswith("the journal was replayed in memory")
    assert fixed.fsck() is None
    assert used.clip(0, fixed.size) == fixed.map()
    assert differing_blocks(image, fixed) == set()
    destroyed = image.destroyed(tmp_path / "destroyed.img", used)
    recovered = replayed_by_e2fsck(destroyed, tmp_path / "recovered.img", e2fs)
    assert fixed.missing_from(recovered) is None


@pytest.mark.root
def test_a_log_that_goes_round_its_end(new_ext, mounted, tmp_path, e2fs):
    """The kernel begins anew at the first log block; the map follows it there."""
    live = new_ext("-t ext4 -b 1024 -J size=1")
    mount = mounted(live.path, "data=journal")
    image = None
    for number in range(40):
        (mount / f"more{number}").write_bytes(dice(f"more{number}").randbytes(60_000))
        sync(mount)
        image = live.copy(tmp_path / "cut.img")
        with FileReader(image.path) as reader:
            superblock = Superblock.read(reader)
            journal = Journal.read(superblock, Blocks(reader, superblock.block_size, superblock.blocks))
            logged = Replay(journal)._index
        if logged.size and logged.min() < journal.record["start"]:
            break
    else:
        pytest.fail("the log never went round")

    fixed = replayed_by_e2fsck(image, tmp_path / "fixed.img", e2fs)

    assert differing_blocks(image, fixed) == set()
    assert map_of(image)[0].clip(0, fixed.size) == fixed.map()


@pytest.mark.root
@pytest.mark.parametrize("options", ["-t ext4 -b 1024", "-t ext3 -b 1024"])
@pytest.mark.parametrize("how", ["frozen", "read-only"])
def test_a_file_system_that_is_held_is_clean(how, options, new_ext, mounted, tmp_path, e2fs):
    live = new_ext(options)
    mount = mounted(live.path)
    work(mount, 20)
    hold, release = {
        "frozen": (("fsfreeze", "-f", mount), ("fsfreeze", "-u", mount)),
        "read-only": (("mount", "-o", "remount,ro", mount), ("mount", "-o", "remount,rw", mount)),
    }[how]
    e2fs(*hold)
    try:
        image = live.copy(tmp_path / "held.img")
    finally:
        e2fs(*release)

    used, notes = map_of(image)

    assert notes == ()
    assert used == image.truth().union(used.clip(0, 1024))


@pytest.mark.root
def test_a_copy_taken_while_it_is_busy_is_a_map_or_the_whole_volume(new_ext, mounted, tmp_path):
    """Not one instant, so nothing is promised of its truth; but an answer comes."""
    live = new_ext("-t ext4 -b 1024")
    mount = mounted(live.path, "commit=1")
    for _ in range(rounds(20)):
        work(mount, 20)
        with FileReader(live.path) as reader, contextlib.suppress(StructureFault):
            answer = plugin.enumerate_used_blocks(reader, plugin.recognise(reader))
            assert isinstance(answer, BlockMap | WholeVolume)
            if isinstance(answer, BlockMap):
                assert union_of(answer.windows).end <= reader.size


@pytest.mark.root
def test_fast_commits_are_the_whole_volume(new_ext, mounted, tmp_path):
    live = new_ext("-t ext4 -b 1024 -O fast_commit", 40 << 20)
    mount = mounted(live.path)
    with (mount / "file").open("wb") as file:
        file.write(b"y" * 50_000)
        os.fsync(file.fileno())
    shut_down(mount, NOLOGFLUSH)

    assert "fast commits" in map_of(live.copy(tmp_path / "cut.img"))


@pytest.mark.root
def test_a_journal_elsewhere(tmp_path, mounted, ext_image, e2fs):
    """Clean: its own bitmaps say all. Not clean: what is missing is on another device."""
    for name, size in (("journal.img", 8 << 20), ("own.img", 24 << 20)):
        with (tmp_path / name).open("wb") as image:
            image.truncate(size)
    device = e2fs("losetup", "--find", "--show", tmp_path / "journal.img").strip()
    try:
        e2fs("mke2fs", "-q", "-F", "-b", "1024", "-O", "journal_dev", device)
        image = ext_image(tmp_path / "own.img")
        e2fs("mke2fs", "-q", "-F", "-t", "ext4", "-b", "1024", "-J", f"device={device}", image.path)
        with FileReader(tmp_path / "journal.img") as reader:
            assert plugin.recognise(reader).name == "jbd"

        assert image.map() == image.truth().union(image.map().clip(0, 1024))

        mount = mounted(image.path)
        work(mount, 20)
        shut_down(mount, LOGFLUSH)
        assert "another device" in map_of(image.copy(tmp_path / "cut.img"))
        e2fs("umount", mount)
    finally:
        e2fs("losetup", "-d", device)


class TestWrittenByDebugfs:
    """Logs with what a kernel rarely leaves: revoked blocks, escaped blocks, transactions without an end."""

    @pytest.fixture(params=["", "-c", "-v 2 -c", "-v 3 -c"])
    def version(self, request):
        return request.param

    @pytest.fixture
    def logged(self, version, new_ext, tmp_path, e2fs):
        def write(*commands):
            feature = "^metadata_csum" if version in ("", "-c") else "metadata_csum"
            image = new_ext(f"-t ext4 -b 1024 -O {feature}", files=0)
            for name, first in (("one", b"1111"), ("magic", b"\xc0\x3b\x39\x98")):
                (tmp_path / name).write_bytes(b"".join(first + bytes([number]) * 1020 for number in range(8)))
            script = "\n".join((f"jo {version}", *commands, "jc\n")).replace("TMP", str(tmp_path))
            e2fs("debugfs", "-w", "-f", "-", image.path, input=script)
            return image

        return write

    @pytest.mark.parametrize(
        "commands",
        [
            ("jw -b 20000 TMP/one",),
            ("jw -b 20000-20003 TMP/magic",),
            ("jw -b 20000-20003 TMP/one", "jw -r 20001,20002"),
            ("jw -b 20000-20003 TMP/one", "jw -r 20001,20002", "jw -b 20001 TMP/magic"),
            ("jw -b 20000 TMP/one", "jw -b 20000 TMP/magic", "jw -c -b 20000 TMP/one"),
            ("jw -r 20000-20400", "jw -b 20100 TMP/one"),
        ],
    )
    def test_we_see_what_e2fsck_would_write(self, version, logged, commands, tmp_path, e2fs):
        image = logged(*commands)
        fixed = replayed_by_e2fsck(image, tmp_path / "fixed.img", e2fs)

        if version == "-c" and any(" -r " in command for command in commands):
            # debugfs counts revoke blocks into version 1 checksums; the kernel does not, and would not replay this
            assert "does not fit its checksum" in map_of(image)
            return
        committed = sum(" -c " not in command for command in commands)
        assert map_of(image)[1] == (f"the journal was replayed in memory: {committed} transactions",)
        assert differing_blocks(image, fixed) == set()
