"""The map against others that say what is used: the kernel's own free space tree, and partclone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from holdstill.model.extents import Extents

pytestmark = pytest.mark.root


def test_it_is_what_the_free_space_tree_does_not_call_free(every_kind):
    """Another tree, kept by other code of the kernel."""
    image = every_kind
    if not image.kind.checkable or "FREE_SPACE_TREE_VALID" not in image.features():
        pytest.skip("no free space tree, or none that the btrfs-progs of Debian 12 read")
    allocated = image.allocated()
    if allocated is None:
        pytest.skip("its free space is told by bitmaps, which btrfs-progs do not print")

    assert image.map().difference(image.outside_trees()) == allocated.difference(image.outside_trees())


@pytest.mark.parametrize("name", ["default", "balanced"])
def test_what_partclone_calls_used_beside_it_is_free(made, name, tmp_path, tool):
    """It takes logical addresses for places, rounds to tree blocks, and takes what follows them along.

    None of what it has and the map has not is allocated by the free space tree.
    """
    image, domain = made(name), tmp_path / "domain"
    tool("partclone.btrfs", "-q", "-D", "-s", image.path, "-o", domain, "-L", tmp_path / "log")
    runs = re.findall(r"^(0x[0-9A-Fa-f]+)\s+(0x[0-9A-Fa-f]+)\s+\+$", domain.read_text(), re.MULTILINE)
    claimed = Extents.of(*((int(at, 16), int(length, 16)) for at, length in runs))

    assert claimed.intersection(image.map()).total > MOST_OF_IT * image.map().total
    allocated = image.allocated()
    assert allocated, "its free space tree says nothing"
    assert not claimed.difference(image.map()).intersection(allocated)


#: partclone leaves out second copies and most of the first MiB
MOST_OF_IT = 0.3


def test_sectors_of_64_kib(made, tmp_path, btrfs_image, tool):
    """More than this kernel mounts."""
    path = tmp_path / "sectors.img"
    with path.open("wb") as image:
        image.truncate(256 << 20)
    tool("mkfs.btrfs", "-q", "-f", "-s", "65536", "-n", "65536", "-r", Path(__file__).parent, path)
    image = btrfs_image(path, made("default").kind)

    assert image.map() == image.truth()
    assert image.destroyed(tmp_path / "destroyed.img", image.map()).fsck() is None
