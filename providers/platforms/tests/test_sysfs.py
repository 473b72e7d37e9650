"""What sysfs says of stacks that this kernel cannot build: a tree as a Debian host with LVM and RAID has it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdstill.model.volume import Layer
from holdstill_platforms.linux import identify, stack, sysfs, usage
from holdstill_platforms.linux.host import Host, parse_swaps
from holdstill_platforms.linux.stack import Storey

UUID = "LVM-7J1GtZs6Fx1bW0pTk7iNDdyxJm8YpXJ2cqDkRz0BqMGxLMv0aKJr1XaT9mW4nF5H"


class Tree:
    """Writes a sysfs tree."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def add(self, name: str, device: str, *, disk: str = "", below: tuple[str, ...] = (), **files: str) -> None:
        home = self._home(disk) / name if disk else self._home(name)
        home.mkdir(parents=True)
        major, minor = device.split(":")
        event = f"MAJOR={major}\nMINOR={minor}\nDEVNAME={name.replace('!', '/')}\n{files.pop('event', '')}"
        for file, text in {"dev": device, "uevent": event, "size": "2048", **files}.items():
            path = home / file.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + "\n")
        for link in (self.root / "dev/block" / device, self.root / "class/block" / name):
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(os.path.relpath(home, link.parent))
        for slave in below:
            under = (self.root / "class/block" / slave).resolve()
            for link, target in ((home / "slaves" / slave, under), (under / "holders" / name, home)):
                link.parent.mkdir(exist_ok=True)
                link.symlink_to(os.path.relpath(target, link.parent))

    def _home(self, name: str) -> Path:
        return self.root / "devices" / name


@pytest.fixture
def host(tmp_path: Path) -> Host:
    tree = Tree(tmp_path)
    tree.add("sda", "8:0", device__serial="WD-1234", queue__logical_block_size="512", queue__physical_block_size="4096")
    tree.add("sda1", "8:1", disk="sda", partition="1", size="1024")
    tree.add("sda2", "8:2", disk="sda", partition="2", event="PARTUUID=ab-cd\nPARTNAME=root")
    tree.add("sdb", "8:16", wwid="naa.5000c500")
    tree.add("md127", "9:127", below=("sda2", "sdb"), md__uuid="11-22")
    tree.add("dm-0", "253:0", below=("md127",), dm__name="vg--a-root--fs", dm__uuid=UUID)
    tree.add("dm-1", "253:1", below=("dm-0",), dm__name="secret", dm__uuid="CRYPT-LUKS2-99-secret")
    tree.add("cciss!c0d0", "104:0")
    return Host(rows=(), loops=(), swaps=(), sys=tmp_path)


def test_the_layers_of_a_crypt_on_lvm_on_raid(host: Host) -> None:
    layers = stack.layers(host, Storey(os.makedev(253, 1)))

    assert layers == (
        Layer("crypt", "secret", "CRYPT-LUKS2-99-secret"),
        Layer("lvm2", "vg-a/root-fs", UUID),
        Layer("md", "md127", "11-22"),
        Layer("partition", "sda2", "root"),
        Layer("disk", "sdb", "naa.5000c500"),
        Layer("disk", "sda", "WD-1234"),
    )


def test_who_holds_what(host: Host) -> None:
    def holders(major: int, minor: int) -> tuple[str, ...]:
        return usage.of(host, os.makedev(major, minor)).holders

    assert holders(253, 1) == ()
    assert holders(253, 0) == ("dm-1 (secret)",)
    assert holders(9, 127) == ("dm-0 (vg--a-root--fs)",)
    assert holders(8, 0) == ("sda2 (md127)",)
    assert holders(8, 1) == ()


def test_identities_do_not_hang_on_the_order_of_disks(host: Host) -> None:
    told = {node.name: identify.identity(node) for node in sysfs.every_node(host.sys)}

    assert told == {
        "sda": "serial:WD-1234",
        "sda1": "serial:WD-1234-part1",
        "sda2": "partuuid:ab-cd",
        "sdb": "wwid:naa.5000c500",
        "md127": "md:11-22",
        "dm-0": f"dm:{UUID}",
        "dm-1": "dm:CRYPT-LUKS2-99-secret",
        "cciss!c0d0": "device:/dev/cciss/c0d0",
    }


def test_sizes_and_sectors(host: Host) -> None:
    part = host.node(os.makedev(8, 1))

    assert (part.size, part.logical_sector, part.physical_sector) == (1024 * 512, 512, 4096)
    assert host.node(os.makedev(8, 16)).logical_sector == 512


def test_what_is_not_there_is_empty(tmp_path: Path) -> None:
    home = tmp_path / "devices/odd"
    home.mkdir(parents=True)
    (home / "dev").write_text("8:48\n")
    node = sysfs.node_in(home)

    assert (node.size, node.above, node.below, node.mapped_name, node.written) == (0, [], [], "", ())
    (home / "dev").write_bytes(b"\xff\n")
    assert sysfs.node_in(home) is None
    assert sysfs.node_of(os.makedev(8, 49), tmp_path) is None


names = st.text(alphabet="abc-._+09", min_size=1, max_size=12).filter(lambda name: name[0] != "-")


@given(names, names)
def test_lvm_names_come_back(group: str, volume: str) -> None:
    mapped = f"{group.replace('-', '--')}-{volume.replace('-', '--')}"

    assert sysfs.lvm_names(mapped) == (group, volume)


@given(st.text(alphabet="ab-", max_size=10))
def test_any_mapped_name_has_an_answer(name: str) -> None:
    told = sysfs.lvm_names(name)

    assert told is None or all(told)


def test_swaps_as_the_kernel_writes_them() -> None:
    text = (
        "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
        "/dev/dm-1                               partition\t8388604\t\t0\t\t-2\n"
        "/swap\\040file\\040(deleted)              file\t\t1024\t\t0\t\t-3\n\n"
    )

    assert parse_swaps(text) == ["/dev/dm-1", "/swap file (deleted)"]
    assert parse_swaps("") == []
