"""``holdstill map --json`` of an empty volume of every file system that is read."""

from __future__ import annotations

import json
import subprocess

import pytest

from holdstill_cli.main import main
from holdstill_filesystems import plugin
from holdstill_testing.jfs2_images import to_jfs2

MIB = 1 << 20
MADE_BY = {
    "ext2": ("mke2fs -q -F -t ext2", 8 * MIB),
    "ext3": ("mke2fs -q -F -t ext3", 16 * MIB),
    "ext4": ("mke2fs -q -F -t ext4", 16 * MIB),
    "xfs": ("mkfs.xfs -q -f", 320 * MIB),
    "btrfs": ("mkfs.btrfs -q -f", 128 * MIB),
    "jfs": ("mkfs.jfs -q", 32 * MIB),
    "jfs2": ("mkfs.jfs -q", 32 * MIB),
    "ntfs": ("mkfs.ntfs -q -F", 16 * MIB),
    "vfat": ("mkfs.fat", 8 * MIB),
    "exfat": ("mkfs.exfat", 16 * MIB),
    "swap": ("mkswap -q", 8 * MIB),
    "ufs": (f"makefs -t ffs -s {8 * MIB}", 0),
}


def test_none_is_forgotten():
    assert set(MADE_BY) == set(plugin.provider_info().filesystems)


@pytest.mark.parametrize("name", MADE_BY)
def test_it_is_one_line_that_says_what_is_used(name, tmp_path, capsys):
    path, (command, size) = tmp_path / "own.img", MADE_BY[name]
    if size:
        with path.open("wb") as file:
            file.truncate(size)
    folder = tmp_path / "empty"
    folder.mkdir()
    words = [*command.split(), path, folder] if name == "ufs" else [*command.split(), path]
    subprocess.run(words, check=True, capture_output=True)
    if name == "jfs2":
        path = to_jfs2(path, tmp_path / "turned.img")

    assert main(["map", "--json", str(path)]) == 0

    [line] = capsys.readouterr().out.splitlines()
    result = json.loads(line)
    assert result["filesystem"] == name
    assert result["whole_volume_because"] is None
    assert 0 < result["used_size"] < result["volume_size"] == path.stat().st_size
