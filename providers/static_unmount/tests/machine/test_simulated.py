"""The machine against a simulated mount table."""

from __future__ import annotations

import contextlib
import errno
import itertools

import attrs
import pytest

from holdstill.model.volume import Mount, VolumeKind
from holdstill_static_unmount.linux import busy
from holdstill_static_unmount.linux.kernel import Kernel
from holdstill_static_unmount.linux.table import Row
from holdstill_testing.fakes.memory_volume import MemoryVolume
from holdstill_testing.torture import rounds


class Simulated(Kernel):
    """Mounts as far as they matter here: who hangs under whom, who shares with whom (mount_namespaces(7))."""

    def __init__(self) -> None:
        self.ids = itertools.count(90_000_000)
        self.groups = itertools.count(70_000)
        self.table = []

    def boot(self):
        return "this one"

    def rows(self):
        return list(self.table)

    def elsewhere(self):
        return {}

    def swaps(self):
        return []

    def loop_files(self):
        return {}

    def identity(self, device):
        return f"sim {device}"

    def written(self, device):
        return (0,)

    def number_of(self, path):
        return "250:7" if path == "/dev/sim" else ""

    def sync(self, row):
        pass

    def flush(self, device):
        pass

    def top(self, path):
        found = [row for row in self.table if row.path == path]
        if not found:
            raise OSError(errno.EINVAL, "not mounted", path)
        return found[-1]

    def over(self, path):
        """The mount that a path is looked up in."""
        inside = [row for row in self.table if path == row.path or path.startswith(row.path.rstrip("/") + "/")]
        return max(enumerate(inside), key=lambda pair: (len(pair[1].path), pair[0]))[1]

    def replace(self, old, **changes):
        self.table[self.table.index(old)] = attrs.evolve(old, **changes)

    def add(self, path, root, filesystem, source, device, options, super_options, tags):
        parent = self.over(path)
        if parent.group("shared") and not any(tag.startswith("shared") for tag in tags.split()):
            tags = " ".join([f"shared:{next(self.groups)}", *tags.split()])
        self.table.append(
            Row(next(self.ids), parent.id, device, root, path, options, tags, filesystem, source, super_options)
        )

    def remount(self, row, *, read_only):
        for each in [each for each in self.table if each.device == row.device]:
            words = ["ro" if read_only else "rw", *each.super_options.split(",")[1:]]
            self.replace(each, super_options=",".join(words))

    def unmount(self, row):
        top = self.top(row.path)
        if top.id != row.id or any(each.parent == row.id for each in self.table):
            raise OSError(errno.EBUSY, "busy")
        self.table.remove(top)

    def mount(self, row):
        options = ",".join(sorted(row.flags - {"ro"} | {"rw"}))
        self.add(row.path, "/", row.filesystem, "/dev/sim", "250:7", options, row.super_options, "")

    def bind(self, source, row):
        start = self.over(source)
        if start.unbindable:
            raise OSError(errno.EINVAL, "unbindable")
        root = start.root.rstrip("/") + source[len(start.path) :]
        tags = " ".join(tag for tag in start.tags.split() if tag.startswith(("shared", "master")))
        fields = (start.filesystem, start.source, start.device, start.options, start.super_options)
        self.add(row.path, root or "/", *fields, tags)

    def set_flags(self, row):
        self.replace(self.top(row.path), options=row.options)

    def propagate(self, path, kind):
        row = self.top(path)
        shared, master = row.group("shared"), row.group("master")
        peers = [each for each in self.table if shared and each.group("shared") == shared and each is not row]
        keep = [f"master:{master}"] if master else []
        if kind == "shared":
            tags = [f"shared:{shared or next(self.groups)}", *keep]
        elif kind == "slave":
            tags = [f"master:{shared}"] if peers else keep
        else:
            tags = ["unbindable"] if kind == "unbindable" else []
        self.replace(row, tags=" ".join(tags))


class SimulatedWorld:
    base = "/"

    def __init__(self, shared_root, extras):
        self.kernel = Simulated()
        group = "shared:69000" if shared_root else ""
        self.kernel.table.append(Row(1, 0, "250:1", "/", "/", "rw,relatime", group, "ext4", "/dev/root", "rw"))
        self.kernel.add("/other", "/", "tmpfs", "tmpfs", "0:99", "rw", "rw", "")
        self.kernel.add("/a", "/", "ext4", "/dev/sim", "250:7", "noatime,nosuid,rw", "rw,errors=continue", "")
        if extras:
            self.kernel.propagate("/a", extras[0])
        for number, (source, kinds, options) in enumerate(extras[1:]):
            place = f"/b{number}"
            with contextlib.suppress(OSError):
                self.kernel.bind(f"/a{source}", attrs.evolve(self.kernel.top("/a"), path=place))
                for kind in kinds:
                    self.kernel.propagate(place, kind)
                self.kernel.set_flags(attrs.evolve(self.kernel.top(place), options=options))
        self.content = MemoryVolume(b"x" * 65536)

    def volume(self):
        rows = [row for row in self.kernel.table if row.device == "250:7"]
        mounts = tuple(Mount(row.path, row.filesystem, root=row.root) for row in rows)
        facts = self.content.facts
        self.content.facts = attrs.evolve(facts, device="/dev/sim", kind=VolumeKind.BLOCK, mounts=mounts)
        return self.content

    def close(self):
        pass


@pytest.mark.torture
def test_against_a_simulated_mount_table(drive, monkeypatch):
    monkeypatch.setattr(busy, "users", lambda rows: [])  # nobody is on what is not there
    monkeypatch.setattr(busy, "writers", lambda rows: [])
    drive(SimulatedWorld, rounds(10_000), 12)
