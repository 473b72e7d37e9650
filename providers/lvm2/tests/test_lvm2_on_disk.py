"""LVM2 on disks, offline: its own tools wrote them, and say what is on them."""

import re
import struct
import subprocess

import pytest

from holdstill.plugins.registry import Plugins
from holdstill_lvm2.lvm import hyphened
from holdstill_lvm2.ondisk import metadata
from holdstill_lvm2.ondisk.group import group_in
from holdstill_lvm2.ondisk.label import SECTOR, checksum, physical_volume
from holdstill_lvm2.ondisk.recognise import recognised
from holdstill_testing.fakes.memory_volume import MemoryReader, MemoryVolume
from holdstill_testing.torture import dice, rounds

pytestmark = pytest.mark.root
MIB = 1 << 20


@pytest.fixture
def disks(tmp_path, lvm):
    """The files behind the disks, as they are now."""

    def now():
        subprocess.run(["blockdev", "--flushbufs", *lvm.disks], check=True)
        return [tmp_path / "disk1", tmp_path / "disk2"]

    return now


def group_on(reader):
    return metadata.group_of(reader, physical_volume(reader))


def test_the_group_is_what_vgcfgbackup_says(lvm, group, disks, reading, tmp_path):
    lvm("vgcfgbackup", "--file", str(tmp_path / "said"), group)
    said = group_in((tmp_path / "said").read_text())

    for disk in disks():
        assert group_on(reading(disk)) == said
    assert said.name == group
    assert [(each.name, each.size, each.visible) for each in said.volumes] == [
        ("my-lv", 8 * MIB, True),
        ("+st_1", 8 * MIB, True),
    ]
    told = lvm("lvs", "--noheadings", "-o", "lv_uuid,vg_uuid", f"{group}/my-lv").split()
    assert told == [said.named("my-lv").uuid, said.uuid]


def test_the_label_is_what_pvs_says(lvm, group, disks, reading):
    for disk, path in zip(lvm.disks, disks(), strict=True):
        found = physical_volume(reading(path))
        uuid, size = lvm("pvs", "--noheadings", "--nosuffix", "--units", "b", "-o", "pv_uuid,dev_size", disk).split()
        assert (hyphened(found.uuid), found.size, found.sector) == (uuid, int(size), 1)


def test_the_text_goes_round_its_area(lvm, group, disks, reading):
    """It is written behind the last one each time; past the end it goes on behind the header."""
    lvm("vgchange", "--quiet", *(f"--addtag={'x' * 1000}{number}" for number in range(12)), group)
    went_round = False
    for number in range(8):
        lvm("vgchange", "--quiet", "--addtag", f"tag{number}", group)
        reader = reading(disks()[0])
        found, area = group_on(reader), physical_volume(reader).metadata[0]
        assert found.sequence == int(lvm("vgs", "--noheadings", "-o", "vg_seqno", group))
        offset, size = struct.unpack("<QQ", reader.read(area.offset + 40, 16))
        went_round |= offset + size > area.size
    assert went_round


def test_what_is_recognised_is_told_with_its_volumes(lvm, group, disks, reading):
    facts = Plugins.installed().recognise(reading(disks()[0]))
    uuid = lvm("pvs", "--noheadings", "-o", "pv_uuid", lvm.disks[0]).strip()
    assert (facts.name, facts.uuid, facts.detail) == (
        "LVM2_member",
        uuid,
        "LVM2: of volume group vg-odd.x, with my-lv, +st_1",
    )


def test_a_disk_in_no_group(lvm, disks, reading):
    lvm("pvcreate", "--quiet", lvm.disks[0])
    assert recognised(reading(disks()[0])).detail == "LVM2: in no volume group"


def test_many_volumes_are_not_all_told(lvm, group, disks, reading):
    for number in range(9):
        lvm("lvcreate", "--activate", "n", "-Zn", "-Wn", "-l1", "-n", f"n{number}", group)
    assert re.search(r"with my-lv, \+st_1, n0, n1, n2, n3, n4, n5 and 3 more$", recognised(reading(disks()[0])).detail)


def resealed(head, at):
    """Checksums made right again after what a test did to a header."""
    return struct.pack("<I", checksum(head[at + 4 : at + SECTOR]))


#: how the first disk of the group begins, as the tools wrote it, once for all that hurt it
WRITTEN = {}


@pytest.fixture
def written(request):
    if not WRITTEN:
        request.getfixturevalue("group")
        WRITTEN["disk"] = request.getfixturevalue("disks")()[0].read_bytes()[: 128 << 10]
    return WRITTEN["disk"]


@pytest.fixture
def hurt(written):
    """A reader of that disk with some bytes changed: ``hurt({offset: bytes})``."""

    def make(changes, *, reseal=None):
        data = bytearray(written)
        for offset, content in changes.items():
            data[offset : offset + len(content)] = content
        if reseal is not None:
            data[reseal : reseal + 4] = resealed(data, reseal)
        return MemoryReader(MemoryVolume(data))

    return make


def test_a_label_whose_checksum_is_wrong_is_none(hurt):
    assert physical_volume(hurt({512 + 40: b"z"})) is None
    assert recognised(hurt({512 + 40: b"z"})) is None


def test_a_label_behind_somebody_elses_header_is_left_over(hurt):
    reader = hurt({0: b"LUKS\xba\xbe\x00\x01"})
    assert recognised(reader) is None
    assert Plugins.installed().recognise(reader).name == "crypto_LUKS"


@pytest.mark.parametrize(
    ("changes", "reseal"),
    [
        ({4096 + 8: b"?"}, None),
        ({4096 + 8: b"?"}, 4096),
        ({4096 + 24: struct.pack("<Q", 1 << 63)}, 4096),
        ({4096 + 32: struct.pack("<Q", 1 << 63)}, 4096),
        ({4096 + 40: struct.pack("<Q", 1 << 63)}, 4096),
        ({4096 + 48: struct.pack("<Q", 1 << 63)}, 4096),
        ({4096 + 48: struct.pack("<Q", 0)}, 4096),
        ({4096 + 56: b"\0\0\0\0"}, 4096),
        ({4096 + 60: b"\1"}, 4096),
        ({4096 + 40: bytes(24)}, 4096),
    ],
    ids=["torn", "magic", "start", "size", "offset", "huge", "empty", "checksum", "ignored", "none"],
)
def test_an_area_that_cannot_be_believed(hurt, changes, reseal):
    reader = hurt(changes, reseal=reseal)
    assert group_on(reader) is None
    assert recognised(reader).detail == "LVM2: in no volume group"


def relabelled(label):
    """The label with its checksum made right again."""
    label[16:20] = struct.pack("<I", checksum(bytes(label[20:])))
    return {512: bytes(label)}


def test_areas_outside_the_disk(hurt, written):
    label = bytearray(written[512:1024])
    rows = [struct.unpack_from("<QQ", label, at) for at in range(72, 136, 16)]
    place = 72 + 16 * next(number for number, row in enumerate(rows) if row[0] == 4096)
    struct.pack_into("<QQ", label, place, 4096, 1 << 62)
    reader = hurt(relabelled(label))
    assert physical_volume(reader) is not None
    assert group_on(reader) is None


def test_a_label_without_an_end(hurt, written):
    label = bytearray(written[512:1024])
    label[72:] = b"\1" * (512 - 72)
    assert physical_volume(hurt(relabelled(label))) is None


def test_nothing_on_a_disk_is_too_hostile(hurt, written):
    """Any bytes of label, header and text changed, every checksum right again: an answer, and no exception."""
    random = dice("lvm2 on disk")
    offset, length = struct.unpack_from("<QQ", written, 4096 + 40)
    for _ in range(rounds(3000)):
        label, header = bytearray(written[512:1024]), bytearray(written[4096 : 4096 + 512])
        text = bytearray(written[4096 + offset : 4096 + offset + length])
        for piece, start in random.choices([(label, 20), (header, 40), (text, 0)], k=3):
            piece[random.randrange(start, min(len(piece), start + 4000))] = random.randrange(256)
        struct.pack_into("<I", header, 56, checksum(bytes(text)))
        header[:4] = struct.pack("<I", checksum(bytes(header[4:])))
        recognised(hurt({**relabelled(label), 4096: bytes(header), 4096 + offset: bytes(text)}))
