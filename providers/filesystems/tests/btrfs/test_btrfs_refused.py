"""What is taken whole, and the reason that is given: features, states, devices, and whatever does not fit together."""

from __future__ import annotations

import struct

import pytest

from holdstill import BackupRequest, Engine
from holdstill.errors import VolumeUnusable
from holdstill.model.extents import Extents
from holdstill.spi.conversation import Conversation
from holdstill_filesystems import plugin
from holdstill_testing.btrfs_forge import (
    BLOCK_GROUP_ITEM,
    CHUNK_ITEM,
    CHUNK_TREE,
    EXTENT_TREE,
    ROOT_ITEM,
    ROOT_TREE,
    Forge,
)
from holdstill_testing.destruction import answer
from holdstill_testing.fakes.file_reader import FileReader

MIB = 1 << 20


def said(path):
    with FileReader(path) as reader:
        return answer(reader, plugin)


@pytest.fixture(scope="module")
def plain(tmp_path_factory, tool):
    """A file system of 128 MiB with files in it, made without a mount: what its image holds, as runs of bytes."""
    folder = tmp_path_factory.mktemp("plain")
    (folder / "files").mkdir()
    for number in range(12):
        (folder / "files" / f"file{number}").write_bytes(bytes([number]) * (3000 * number * number))
    path = folder / "plain.img"
    with path.open("wb") as image:
        image.truncate(128 * MIB)
    tool("mkfs.btrfs", "-q", "-f", "-r", folder / "files", path)
    used = said(path)
    assert isinstance(used, Extents)
    with FileReader(path) as reader:
        return [(offset, reader.read(offset, length)) for offset, length in used]


@pytest.fixture
def forged(plain, tmp_path):
    """It again, to be changed by hand, checksums kept."""
    path = tmp_path / "forged.img"
    with path.open("wb") as image:
        image.truncate(128 * MIB)
        for offset, data in plain:
            image.seek(offset)
            image.write(data)
    return Forge(path)


# --- features and states --------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["incompat", "compat_ro"])
def test_a_feature_that_is_not_known_is_the_whole_volume(forged, word):
    names = {
        ("incompat", 12): "zoned",
        ("incompat", 13): "extent-tree-v2",
        ("incompat", 14): "raid-stripe-tree",
        ("incompat", 17): "remap-tree",
    }
    known = {"incompat": {*range(12), 16}, "compat_ro": {0, 1, 2, 3}}
    field = f"{word}_flags"
    sound = forged.get(field)
    for bit in range(64):
        forged.set(**{field: sound | 1 << bit})
        if bit in known[word]:
            assert "does not know" not in str(said(forged.path))
        else:
            expected = names.get((word, bit), f"{word} bit 0x{1 << bit:x}")
            assert said(forged.path) == f"it has features that this reader does not know: {expected}"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"log_root": 30523392}, "a log of what was flushed"),
        ({"num_devices": 2}, "one of 2 devices of a Btrfs file system, and useless alone"),
        ({"flags": 1 | 1 << 32}, "a seed"),
        ({"flags": 1 | 1 << 2}, "marked as having errors"),
        ({"flags": 1 | 1 << 35}, "change of its UUID"),
        ({"flags": 1 | 1 << 50}, "superblock flag 0x4000000000000 is set"),
        ({"csum_type": 9}, "unknown kind of checksum"),
        ({"csum_type": 1}, "does not fit its checksum"),
        ({"device_id": 0}, "about to replace"),
        ({"device_id": 2}, "on another device"),
        ({"sectorsize": 512}, "sectors are"),
        ({"sectorsize": 32768}, "tree blocks are"),
        ({"nodesize": 131072}, "tree blocks are"),
        ({"nodesize": 4096}, "does not fit its checksum"),
        ({"root_level": 8}, "no tree is so high"),
        ({"root_level": 1}, "on another level"),
        ({"chunk_root_level": 255}, "no tree is so high"),
        ({"generation": 1}, "younger than the superblock"),
        ({"generation": 1000}, "not from the transaction"),
        ({"chunk_root_generation": 2}, "not from the transaction"),
        ({"root": 0}, "in no chunk"),
        ({"root": 2**64 - 1}, "in no chunk"),
        ({"chunk_root": 4096}, "in no chunk"),
        ({"bytes_used": 7}, "the superblock says 7"),
        ({"device_total_bytes": 129 * MIB}, "the file system has"),
        ({"device_total_bytes": 30 * MIB}, "leaves the device"),
        ({"device_total_bytes": 0}, "the file system has 0 bytes"),
        ({"device_total_bytes": 127 * MIB}, "another device_total_bytes"),
        ({"sys_chunk_array_size": 0}, "no system chunks"),
        ({"sys_chunk_array_size": 2**32 - 1}, "longer than its room"),
        ({"sys_chunk_array_size": 100}, "cut off"),
        ({"sys_chunk_array_size": 2048}, "not a chunk's"),
        ({"sys_chunk_logical": 0}, "in no chunk"),
        ({"sys_chunk_logical": 2**63}, "impossible address"),
        ({"sys_chunk_length": 0}, "impossible length"),
        ({"sys_chunk_length": 2**63}, "impossible length"),
        ({"sys_chunk_type": 2}, "single with two stripes"),
        ({"sys_chunk_type": 2 | 1 << 4}, "profile RAID1"),
        ({"sys_chunk_type": 1 | 1 << 5}, "not a system chunk"),
        ({"sys_chunk_stripes": 1}, "not a chunk's"),
        ({"sys_chunk_stripes": 0, "sys_chunk_array_size": 97}, "DUP with one stripe"),
        ({"sys_chunk_place": 2**63}, "leaves the device"),
        ({"sys_chunk_place": 30 * MIB}, "overlap"),
    ],
)
def test_numbers_of_the_superblock(forged, fields, reason):
    forged.set(**fields)

    assert reason in said(forged.path)


@pytest.mark.root
def test_a_file_that_was_flushed_before_the_power_was_cut(made):
    """Its blocks are in no extent tree: a log tells of them, which the kernel replays when it mounts."""
    assert made("flushed").super("log_root") != "0"

    assert "a log of what was flushed" in said(made("flushed").path)


def test_a_newer_copy_of_the_superblock(forged):
    """The first one was not written last: not the file system that it says."""
    first = forged.read(64 << 10, 4096)
    forged.set(generation=forged.get("generation") + 1)
    forged.write(64 << 10, first)

    assert "newer than the first superblock's" in said(forged.path)


def test_an_older_copy_or_a_foreign_one_is_what_a_crash_leaves(forged):
    before = said(forged.path)
    first = forged.read(64 << 10, 4096)
    forged.set(generation=forged.get("generation") - 1)
    forged.write(64 << 10, first)
    assert said(forged.path) == before

    forged.write(64 << 20, b"?" * 4096)
    assert said(forged.path) == before


def test_a_superblock_that_belongs_elsewhere(forged):
    forged.write(64 << 10, forged.read(64 << 20, 4096))

    assert "it belongs elsewhere" in said(forged.path)


# --- devices and profiles -------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["raid0", "raid1", "single"])
def test_one_of_several_devices(tmp_path, tool, profile):
    images = [tmp_path / "one", tmp_path / "two"]
    for path in images:
        with path.open("wb") as image:
            image.truncate(128 * MIB)
    tool("mkfs.btrfs", "-q", "-f", "-d", profile, "-m", profile, *images)

    for path in images:
        assert "only images of all of them, taken at one instant, can be restored together" in said(path)


def test_one_of_several_devices_is_imaged_only_if_it_is_meant(tmp_path, tool):
    images, repository = [tmp_path / "one", tmp_path / "two"], str(tmp_path / "repository")
    for path in images:
        with path.open("wb") as image:
            image.truncate(128 * MIB)
    tool("mkfs.btrfs", "-q", "-f", "-d", "single", "-m", "raid1", *images)
    engine, talk = Engine(state=str(tmp_path / "state")), Conversation()
    engine.init(repository)

    with pytest.raises(VolumeUnusable, match="one of 2 devices"):
        engine.backup(repository, BackupRequest(str(images[0])), talk)
    result = engine.backup(repository, BackupRequest(str(images[0]), gap_size=0), talk)

    assert result.sizes.used_size == 128 * MIB


def test_a_seed(forged, tool):
    tool("btrfstune", "-S", "1", forged.path)

    assert "a seed" in said(forged.path)


@pytest.mark.parametrize(("bit", "name"), [(3, "RAID0"), (4, "RAID1"), (6, "RAID10"), (7, "RAID5"), (40, "0x1000")])
def test_profiles_that_are_not_read(forged, bit, name):
    (logical, _, kind, _) = forged.chunks()[0]
    forged.change(CHUNK_TREE, (256, CHUNK_ITEM, logical), 24, "<Q", kind | 1 << bit)

    assert f"chunks of the profile {name}" in said(forged.path)


# --- trees that do not fit together ---------------------------------------------------------------------


def block_group(forge, of=4):
    """The key of a block group that holds metadata (4), data (1) or the system's (2)."""
    logical, length, _, _ = next(chunk for chunk in forge.chunks() if chunk[2] & of)
    return (logical, BLOCK_GROUP_ITEM, length)


def test_a_block_group_that_says_another_sum(forged):
    forged.change(EXTENT_TREE, block_group(forged), 0, "<Q", 4096)

    assert said(forged.path).endswith("its block group says 4096")


def test_a_block_group_of_another_kind(forged):
    forged.change(EXTENT_TREE, block_group(forged, 1), 16, "<Q", 4)

    assert "fits no chunk" in said(forged.path)


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda items, key: [item for item in items if item[0] != key], "its block group is not there"),
        (lambda items, key: [*items, ((4096, 168, 4096), bytes(24))], "in no chunk"),
        (lambda items, key: [*items, ((2**63, 168, 4096), bytes(24))], "cannot be so"),
        (lambda items, key: [*items, ((2**64 - 4096, 168, 2**64 - 4096), bytes(24))], "cannot be so"),
        (lambda items, key: [*items, ((key[0] + key[2] - 4096, 168, 8192), bytes(24))], "in no chunk"),
        (lambda items, key: [*items, ((key[0] + key[2] - 4096, 168, 0), bytes(24))], "cannot be so"),
        (lambda items, key: [*items, ((key[0] + key[2] - 8192, 168, 4097), bytes(24))], "cannot be so"),
        (lambda items, key: [*items, ((key[0] + key[2] - 8192, 168, 2**63), bytes(24))], "cannot be so"),
        (lambda items, key: [*items, ((key[0] + key[2] - 16384, 169, 9), bytes(33))], "cannot be so"),
        (lambda items, key: [*items, ((key[0] + 4096, 180, 0), bytes(4))], "unknown type"),
        (lambda items, key: [*items, ((2**64 - 1, 168, 4096), bytes(4))], "cannot be so"),
        (lambda items, key: [(at, value[: 8 + 8 * (at != key)]) for at, value in items], "is shorter than 24 bytes"),
        (lambda items, key: items[:5], "bytes are allocated in the chunk"),
        (lambda items, key: [], "bytes are allocated in the chunk"),
    ],
)
def test_an_extent_tree_that_cannot_be_true(forged, edit, reason):
    root = forged.root_of(EXTENT_TREE)
    forged.put_items(root, sorted(edit(forged.items(root), block_group(forged))))

    assert reason in said(forged.path)


def test_extents_that_overlap(forged):
    root = forged.root_of(EXTENT_TREE)
    items = forged.items(root)
    key = next(key for key, _ in items if key[1] == 168 and key[2] > 8192)
    forged.put_items(root, sorted([*items, ((key[0] + 4096, 168, 4096), bytes(24))]))

    assert "extents overlap" in said(forged.path)


def test_keys_that_go_back(forged):
    root = forged.root_of(EXTENT_TREE)
    items = forged.items(root)
    forged.put_items(root, [*items[1:], items[0]])

    assert said(forged.path) == "the keys of the extent tree do not ascend"


@pytest.mark.parametrize(
    ("at", "form", "value", "reason"),
    [
        (32, "16s", b"another", "belongs to another file system"),
        (48, "<Q", 4096, "lies elsewhere"),
        (80, "<Q", 1, "not from the transaction"),
        (88, "<Q", 5, "belongs to another tree"),
        (96, "<I", 2**32 - 1, "more than fits"),
        (100, "<B", 1, "another level"),
        (101 + 17, "<I", 2**32 - 1, "outside its block"),
        (101 + 17, "<I", 0, "outside its block"),
        (101 + 21, "<I", 2**32 - 1, "outside its block"),
    ],
)
def test_a_tree_block_that_is_not_the_one_that_was_meant(forged, at, form, value, reason):
    root = forged.root_of(EXTENT_TREE)
    data = bytearray(forged.block(root))
    struct.pack_into(form, data, at, value)
    forged.put(root, bytes(data))

    assert reason in said(forged.path)


@pytest.mark.parametrize("at", [176, 216, 238, 160])
def test_a_root_item_that_leads_elsewhere(forged, at):
    forged.change(ROOT_TREE, (EXTENT_TREE, ROOT_ITEM, 0), at, "<B", 77 if at != 216 else 0)

    assert isinstance(said(forged.path), str)


def test_no_extent_tree(forged):
    root = forged.get("root")
    forged.put_items(root, [item for item in forged.items(root) if item[0][0] != EXTENT_TREE])

    assert said(forged.path) == "there is no extent tree"


def test_a_root_tree_that_is_its_own_child(forged):
    """A node that points to itself: a level lower it cannot be."""
    root = forged.get("root")
    data = bytearray(forged.block(root))
    struct.pack_into("<IB", data, 96, 1, 1)
    struct.pack_into("<QBQQQ", data, 101, 0, 0, 0, root, struct.unpack_from("<Q", data, 80)[0])
    forged.put(root, bytes(data))
    forged.set(root_level=1)

    assert "on another level" in said(forged.path)


# --- the block group tree -------------------------------------------------------------------------------


def test_block_groups_in_both_trees(forged):
    items = [item for item in forged.items(forged.root_of(EXTENT_TREE)) if item[0][1] == BLOCK_GROUP_ITEM]
    forged.move_block_groups()
    assert isinstance(said(forged.path), Extents)
    root = forged.root_of(EXTENT_TREE)
    forged.put_items(root, sorted([*forged.items(root), *items]))

    assert "something of an unknown type" in said(forged.path)


def test_block_groups_where_they_are_not_looked_for(forged):
    forged.move_block_groups()
    forged.set(compat_ro_flags=3)

    assert "its block group is not there" in said(forged.path)


def test_a_block_group_tree_that_is_not_there(forged):
    forged.set(compat_ro_flags=forged.get("compat_ro_flags") | 8)

    assert said(forged.path) == "there is no block group tree"
