"""Volumes of a Linux machine that is driven from another one: asked by its own programs, no Python over there."""

from __future__ import annotations

import os
from typing import Final

import attrs

from holdstill.errors import VolumeBusy, VolumeDenied, VolumeMissing, VolumeUnusable
from holdstill.model.volume import Mount, VolumeFacts, VolumeKind
from holdstill.spi.machine import Machine
from holdstill.spi.reader import Reader
from holdstill.spi.runner import Runner
from holdstill.spi.volume import Volume
from holdstill.spi.writer import Writer
from holdstill_platforms.linux import mountinfo
from holdstill_platforms.linux.host import parse_swaps
from holdstill_platforms.linux.mountinfo import MountRow
from holdstill_platforms.noticing import NoticingReader

#: seconds for what only asks how things are
_LIMIT: Final = 120.0
#: the mount table, what the path is, swap, loop devices, then one line for each of a device's attributes
#: (Documentation/ABI/stable/sysfs-block) and for who stands on it: one question, since each costs a login
_TELL: Final = (
    'echo path:`readlink -f "$1"`; echo kind:`stat -Lc \'%F\' "$1"`; n=`stat -Lc \'%t %T\' "$1"`;'
    ' test -d "$1" && n=`awk -v p="$(readlink -f "$1")" \'$5 == p {split($3, n, ":"); r = sprintf("%x %x", n[1], n[2])}'
    " END {print r}' /proc/self/mountinfo`;"
    " set -- $n; n=$((0x${1:-0})):$((0x${2:-0})); echo number:$n;"
    " sed 's/^/mount:/' /proc/self/mountinfo || exit 9; sed 's/^/swap:/' /proc/swaps;"
    " grep -s . /dev/null /sys/block/loop*/loop/backing_file;"
    " cd -P /sys/dev/block/$n || exit 0; grep -s . /dev/null uevent size ro stat queue/logical_block_size"
    " ../queue/logical_block_size dm/name dm/uuid loop/backing_file wwid device/wwid device/serial partition"
    " */partition */dev; for each in holders/* */holders/*; do test -e $each && echo held:$each; done; true"
)


@attrs.frozen
class AwayVolume(Volume):
    """A block device. Nobody can be kept from using it from afar, so that is looked for, before and after."""

    facts: VolumeFacts
    number: str
    """``major:minor``."""
    machine: Machine
    runner: Runner

    def open_reader(self, *, exclusive: bool) -> Reader:
        """A reader past the page cache; an exclusive one notices who mounted it meanwhile, and what was written."""
        if exclusive:
            self._unless_in_use("unmount it or stop what uses it, or choose another mode")
        written = self._written() if exclusive else ""
        reader = self.machine.open_reader(self.facts.device, self.facts.size)
        return NoticingReader(reader, lambda: self._noticed(written)) if exclusive else reader

    def open_writer(self) -> Writer:
        """A writer. Raises ``VolumeBusy`` naming who uses it."""
        self._unless_in_use("unmount it (`--unmount`) or stop what uses it, then restore again")
        return self.machine.open_writer(self.facts.device, self.facts.size)

    def users(self) -> tuple[str, ...]:
        """The processes that use what is mounted, so far as there is a ``fuser`` that sees them."""
        found: dict[str, None] = {}
        for mount in self.facts.mounts:
            ran = self.runner.ask(["fuser", "-m", mount.path], limit=_LIMIT)
            found |= dict.fromkeys(ran.out.split())
        return tuple(f"process {process}" for process in found)

    def unmount(self) -> None:
        """Unmount every mount of it, deepest first. Raises ``VolumeBusy``."""
        if self.facts.nested:
            raise VolumeBusy(
                f"{self.facts.nested[0].path} is mounted below it",
                subject=self.facts.path,
                next_step="unmount that first",
            )
        for mount in sorted(self.facts.mounts, key=lambda mount: len(mount.path), reverse=True):
            ran = self.runner.change(["umount", mount.path])
            if not ran.ok:
                raise VolumeBusy(
                    f"{mount.path} cannot be unmounted: {ran.said}",
                    subject=self.facts.path,
                    next_step="stop what uses it",
                )

    def _now(self) -> VolumeFacts:
        return identify(self.facts.device, self.runner, self.machine).facts

    def _unless_in_use(self, next_step: str) -> None:
        now = self._now()
        if now.in_use:
            by = [*(f"mounted on {mount.path}" for mount in now.mounts), *now.holders]
            raise VolumeBusy(f"it is in use: {', '.join(by)}", subject=self.facts.path, next_step=next_step)

    def _noticed(self, written: str) -> str | None:
        now = self._now()
        if now.in_use:
            return "somebody mounted it, or took it, while it was read"
        return "something wrote to it while it was read" if self._written() != written else None

    def _written(self) -> str:
        """Counters that move with every write and discard (Documentation/block/stat.rst, the fields 7 and 14); what
        was written before, and is still in memory, is written out first. Raises ``VolumeUnusable`` where that cannot be
        done or told: two answers that are missing are not the same.
        """
        fields: list[str] = []
        for argv in (["sync"], ["cat", f"/sys/dev/block/{self.number}/stat"]):
            ran = self.runner.ask(argv, limit=_LIMIT)
            fields = ran.out.split()
            if not ran.ok:
                raise VolumeUnusable(
                    f"whether it is written to cannot be found out: `{' '.join(argv)}`: {ran.said}",
                    subject=self.facts.path,
                    next_step="try again when it is less busy",
                )
        return " ".join(fields[at] for at in (6, 13) if at < len(fields))


def identify(path: str, runner: Runner, machine: Machine) -> AwayVolume:
    """The volume at a device, a link to one, or a mount point. Raises ``VolumeMissing``, ``VolumeDenied``,
    ``VolumeUnusable``.
    """
    subject = machine.url + path
    ran = runner.ask(["sh", "-c", _TELL, "sh", path], limit=_LIMIT)
    if not ran.ok:  # not to be told is not the same as that there is nothing
        raise VolumeDenied(f"it cannot be asked: {ran.said}", subject=subject, next_step="log in as root")
    found = _Told.of(ran.out)
    kind, number, rows = found.said.get("kind", ""), found.said.get("number", ""), found.rows
    if not kind:
        raise VolumeMissing("there is no such volume", subject=subject, next_step="look at `lsblk` over there")
    if kind not in ("directory", "block special file"):
        raise VolumeUnusable(f"{kind}; only block devices of another machine can be imaged", subject=subject)
    if kind == "directory" and found.said.get("path") not in [row.path for row in rows]:
        raise VolumeUnusable("a directory, and no mount point", subject=subject, next_step="name a device")
    device = f"/dev/{found.said['uevent DEVNAME']}" if "uevent DEVNAME" in found.said else ""
    if not device or not found.said.get("size", "").isdigit():
        raise VolumeUnusable("there is no block device behind it", subject=subject, next_step="name a device")
    mounts = [row for row in rows if _numbered(row) == number]
    facts = VolumeFacts(
        path=subject,
        device=device,
        kind=VolumeKind.BLOCK,
        size=int(found.said["size"]) * 512,  # sectors of 512 bytes, whatever the device's are
        logical_sector=int(found.said.get("queue/logical_block_size", "512")),
        mounts=tuple(_as_typed(row) for row in mounts),
        nested=tuple(row.as_mount() for row in mountinfo.below(mounts, list(rows))),
        holders=tuple(found.holders(device)),
        serial=found.said.get("device/serial", "") or found.said.get("wwid", ""),
        identity=f"{machine.url}/{found.identity(device)}",
        facts={"system": "Linux", **({"read_only": "yes"} if found.said.get("ro") == "1" else {})},
    )
    return AwayVolume(facts, number, machine, runner)


@attrs.frozen
class _Told:
    """What sysfs over there says, by the file's name."""

    said: dict[str, str]
    held: tuple[str, ...]
    loops: tuple[tuple[str, str], ...]
    rows: tuple[MountRow, ...]
    swaps: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> _Told:
        said: dict[str, str] = {}
        held: list[str] = []
        loops: list[tuple[str, str]] = []
        table: dict[str, list[str]] = {"mount": [], "swap": []}
        for line in text.splitlines():
            name, _, value = line.partition(":")
            if name in table:
                table[name].append(value)
            elif name == "held":
                held.append(value.rpartition("/")[2])
            elif name.startswith("/sys/block/loop"):
                loops.append((name.split("/")[3], value))
            elif name == "uevent":
                key, _, value = value.partition("=")
                said[f"uevent {key}"] = value
            else:
                said.setdefault(name.removeprefix("../"), value)
        rows, swaps = mountinfo.parse("\n".join(table["mount"])), parse_swaps("\n".join(table["swap"]))
        return cls(said, tuple(held), tuple(loops), tuple(rows), tuple(swaps))

    def holders(self, device: str) -> list[str]:
        """Who has it, or a part of it, in words."""
        parts = {name.split("/")[0]: value for name, value in self.said.items() if name.endswith("/dev")}
        names = [device, *(f"/dev/{part}" for part in parts if f"{part}/partition" in self.said)]
        mounted = {_numbered(row): row.path for row in self.rows}
        held = list(self.held)
        held += [f"{part} (mounted on {mounted[number]})" for part, number in parts.items() if number in mounted]
        held += ["swap" for each in self.swaps if each in names]
        held += [name for name, backing in self.loops if backing in names]
        return list(dict.fromkeys(held))

    def identity(self, device: str) -> str:
        """What stays the same when the disks come up in another order, if there is such a thing."""
        part = f"-part{self.said['partition']}" if "partition" in self.said else ""
        for kind, value in (
            ("dm", self.said.get("dm/uuid", "")),
            ("partuuid", self.said.get("uevent PARTUUID", "")),
            ("wwid", self.said.get("wwid", "") or self.said.get("device/wwid", "")),
            ("serial", self.said.get("device/serial", "")),
        ):
            if value:
                return f"{kind}:{value.strip()}{part if kind in ('wwid', 'serial') else ''}"
        return self.said.get("loop/backing_file", "").lstrip("/") or f"device:{device}"


def _numbered(row: MountRow) -> str:
    return f"{os.major(row.device)}:{os.minor(row.device)}"


def _as_typed(row: MountRow) -> Mount:
    """With the options of the mount and of its file system together, as they are given to ``mount``."""
    own, whole = row.options.split(","), row.super_options.split(",")
    return attrs.evolve(row.as_mount(), options=",".join(dict.fromkeys([*own, *(set(whole) - {"rw", "ro"})])))
