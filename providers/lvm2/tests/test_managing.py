"""What LVM says before a volume is imaged or written to; the groups are real, and its own tools tell of them."""

import attrs
import pytest

from holdstill.errors import ReadFault
from holdstill.model.image import Image, Sizes, Tree
from holdstill.model.managed import Managed
from holdstill.model.volume import Consistency, FilesystemFacts, Layer, Mode, Mount
from holdstill_lvm2 import plugin
from holdstill_lvm2.layout import Layout, layout_of, place_of
from holdstill_lvm2.managing import Destination, LogicalVolumeManager
from holdstill_lvm2.ondisk.group import group_in
from holdstill_testing.fakes.memory_volume import MemoryReader, MemoryVolume

MIB = 1 << 20
NO_LVM1 = "LVM1 is not supported any more"


@pytest.fixture
def mapped(lvm, group):
    """The volume ``my-lv`` as the platform would find it, were it active."""
    told = lvm("lvs", "--noheadings", "-o", "vg_uuid,lv_uuid", f"{group}/my-lv")
    uuid = "LVM-" + told.replace("-", "").replace(" ", "").strip()
    volume = MemoryVolume(bytes(MIB))
    volume.facts = attrs.evolve(
        volume.facts,
        layers=(Layer("lvm2", f"{group}/my-lv", uuid), Layer("loop", "loop0")),
        facts={"dm_uuid": uuid, "vg": group, "lv": "my-lv"},
    )
    return volume


@pytest.fixture
def lvm1(lvm1_disk):
    return MemoryVolume(lvm1_disk().read_bytes())


def image(managed=None, filesystem="ext4", mode=Mode.SNAPSHOT):
    facts = MemoryVolume(bytes(MIB)).facts
    tree = Tree(bytes(32), 0, 1)
    return Image(
        id="ab" * 16,
        number=1,
        host="h",
        taken="",
        volume=attrs.evolve(facts, filesystem=FilesystemFacts(filesystem) if filesystem else None),
        mode=mode,
        consistency=Consistency.POINT_IN_TIME,
        sizes=Sizes(MIB, MIB),
        chunk_size=MIB,
        chunks=tree,
        map=tree,
        map_block_size=4096,
        seconds=0,
        managed=managed,
    )


@pytest.mark.root
def test_the_layout_is_kept(lvm, group, mapped, runner):
    manager = plugin.manage(mapped, runner)

    assert [manager.objections(mode, as_raw=False) for mode in Mode] == [()] * len(Mode)
    kept = manager.kept()
    uuid, group_uuid = lvm("lvs", "--noheadings", "-o", "lv_uuid,vg_uuid", f"{group}/my-lv").split()
    assert (kept.manager, kept.client) == ("lvm2", "5.4")
    assert kept.facts == {
        "vg": group,
        "vg_uuid": group_uuid,
        "lv": "my-lv",
        "lv_uuid": uuid,
        "extent_size": str(4 * MIB),
        "lv_size": str(8 * MIB),
        "lv_type": "striped",
    }
    assert group_in(kept.layout).named("my-lv").uuid == uuid


@pytest.mark.root
def test_the_layout_that_is_kept_makes_the_group_again(lvm, group, mapped, runner, tmp_path):
    layout = plugin.manage(mapped, runner).kept().layout
    before = lvm("lvs", "--noheadings", "-o", "lv_name,lv_uuid,lv_size", group)
    lvm("lvremove", "--yes", f"{group}/my-lv")
    (tmp_path / "layout").write_text(layout)

    lvm("vgcfgrestore", "--file", str(tmp_path / "layout"), group)

    assert lvm("lvs", "--noheadings", "-o", "lv_name,lv_uuid,lv_size", group) == before


@pytest.mark.root
def test_a_group_that_the_tools_do_not_see_costs_the_layout_only(mapped, runner):
    mapped.facts = attrs.evolve(mapped.facts, facts={**mapped.facts.facts, "vg": "gone"})
    kept = plugin.manage(mapped, runner).kept()
    assert (kept.manager, kept.layout, kept.facts["lv"]) == ("lvm2", "", "my-lv")
    assert "volume group gone" in kept.facts["layout_missing"]


@pytest.mark.root
def test_a_hidden_or_foreign_device_is_no_logical_volume(mapped):
    uuid = mapped.facts.facts["dm_uuid"]
    for other in (uuid + "-cow", "CRYPT-LUKS2-0123", ""):
        assert place_of(attrs.evolve(mapped.facts, facts={**mapped.facts.facts, "dm_uuid": other})) is None
    assert place_of(attrs.evolve(mapped.facts, layers=())) is None


@pytest.mark.root
def test_a_group_in_the_old_format_is_lvm1(mapped, runner):
    """Old tools still read LVM1, and write its layout down like any other."""
    place, real = place_of(mapped.facts), layout_of(place_of(mapped.facts), runner)
    old = real.text.replace('format = "lvm2"', 'format = "lvm1"')
    manager = LogicalVolumeManager(place, Layout(old, group_in(old)))
    assert NO_LVM1 in manager.objections(Mode.SNAPSHOT, as_raw=False)[0]
    assert manager.kept().manager == "lvm1"


def test_a_disk_of_lvm1_is_imaged_as_a_disk_or_not_at_all(lvm1, runner):
    manager = plugin.manage(lvm1, runner)
    (objection,) = manager.objections(Mode.AUTO, as_raw=False)
    assert NO_LVM1 in objection
    assert "--as-raw" in objection
    assert manager.objections(Mode.AUTO, as_raw=True) == ()
    assert manager.kept() is None


def test_other_volumes_are_none_of_lvms_business(runner):
    assert plugin.manage(MemoryVolume(bytes(MIB)), runner) is None
    assert plugin.restore(image(), MemoryVolume(bytes(MIB)), runner) is None


def test_a_mounted_volume_is_not_read(lvm1, runner):
    lvm1.facts = attrs.evolve(lvm1.facts, mounts=(Mount("/x", "ext4"),))
    assert plugin.manage(lvm1, runner) is None


def test_a_first_sector_that_cannot_be_read_is_left_to_the_backup(lvm1, runner, monkeypatch):
    def fails(self, offset, buffer):
        raise ReadFault("gone", offset=offset, length=len(buffer))

    monkeypatch.setattr(MemoryReader, "readinto", fails)
    assert plugin.manage(lvm1, runner) is None


@pytest.mark.parametrize(
    ("managed", "target", "refused"),
    [
        (None, "lvm2", ""),
        (None, "lvm1", NO_LVM1),
        (Managed("lvm1", "5.3"), "lvm2", ""),
        (Managed("lvm1", "5.3"), "lvm1", NO_LVM1),
        (Managed("lvm2", "5.4"), "lvm2", ""),
        (Managed("lvm2", "5.3"), "lvm2", ""),
        (Managed("lvm2", "5.4"), "lvm1", NO_LVM1),
        (Managed("other", "1"), "lvm2", ""),
        (Managed("other", "1"), "lvm1", NO_LVM1),
    ],
)
@pytest.mark.parametrize("filesystem", ["ext4", None])
def test_where_images_may_go(managed, target, refused, filesystem):
    said = Destination(image(managed, filesystem), target, is_disk=False).objections()
    assert bool(said) is bool(refused)
    assert refused in "".join(said)


def test_nothing_is_restored_over_a_disk_of_lvm1_but_its_own_image(lvm1, runner):
    assert NO_LVM1 in plugin.restore(image(), lvm1, runner).objections()[0]
    assert plugin.restore(image(filesystem="LVM1_member"), lvm1, runner).objections() == ()


@pytest.mark.root
def test_an_image_of_lvm1_may_go_to_a_volume_of_lvm2(mapped, runner):
    part = plugin.restore(image(Managed("lvm1", "5.3")), mapped, runner)
    assert (part.manager, part.objections()) == ("lvm2", ())
