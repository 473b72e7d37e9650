"""Devices as device-mapper knows them, by their UUIDs: it answers while LVM waits for a lock."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import attrs

from holdstill.errors import VolumeUnusable
from holdstill.spi.still import Fill
from holdstill_lvm2.lvm import Lvm

#: what ``dmsetup`` says where there is no such device (libdm's ``dm_task_run`` and the kernel's ENXIO)
_NONE: Final = re.compile(r"does not exist|No such device|not found", re.IGNORECASE)
_SECTOR: Final = 512
#: bytes that the kernel counts a pool's metadata in (Documentation/admin-guide/device-mapper/thin-provisioning.rst)
_METADATA_BLOCK: Final = 4096


@attrs.frozen
class Status:
    """What the kernel says of one device: its target, and the words after that."""

    target: str
    words: tuple[str, ...]


def status(lvm: Lvm, uuid: str) -> Status | None:
    """The first row of its table; None if there is no such device. Raises ``VolumeUnusable`` if nobody can say."""
    ran = lvm.ask("dmsetup", "status", "--uuid", uuid)
    if not ran.ok:
        if _NONE.search(ran.err):
            return None
        raise VolumeUnusable(f"device-mapper cannot be asked: {ran.said}")
    return parsed(ran.out)


def parsed(printed: str) -> Status:
    """The first row of what ``dmsetup status`` prints of one device."""
    words = printed.split("\n", 1)[0].split()
    return Status(words[2] if len(words) > 2 else "", tuple(words[3:]))


def name(lvm: Lvm, uuid: str) -> str:
    """The name of a device. Raises ``VolumeUnusable`` if there is none."""
    ran = lvm.ask("dmsetup", "info", "-c", "--noheadings", "-o", "name", "--uuid", uuid)
    if not ran.ok or not ran.out.strip():
        raise VolumeUnusable(f"there is no such device: {ran.said}", subject=uuid)
    return ran.out.strip()


def sequence(lvm: Lvm, uuid: str) -> str:
    """What no other device has or had since the host was started: the kernel's number of it (``diskseq``, Linux 5.15
    and later), and where there is none, its device number. Empty if there is no such device.
    """
    ran = lvm.ask("dmsetup", "info", "-c", "--noheadings", "--separator", ":", "-o", "major,minor", "--uuid", uuid)
    number = ran.out.strip()
    if not ran.ok or not number:
        return ""
    try:
        return Path(f"/sys/dev/block/{number}/diskseq").read_text().strip()
    except OSError:
        return number


def suspended(lvm: Lvm, prefix: str) -> list[str]:
    """The names of those devices that are suspended and whose UUID begins with ``prefix``."""
    ran = lvm.ask("dmsetup", "info", "-c", "--noheadings", "--separator", " ", "-o", "uuid,suspended,name")
    if not ran.ok:
        raise VolumeUnusable(f"device-mapper cannot be asked: {ran.said}")
    rows = [line.split(" ", 2) for line in ran.out.splitlines()]
    return [row[2] for row in rows if len(row) == 3 and row[0].startswith(prefix) and row[1] == "Suspended"]


def snapshot_fill(found: Status) -> Fill | None:
    """How full a thick snapshot's space is (Documentation/admin-guide/device-mapper/snapshot.rst)."""
    if found.target != "snapshot" or not found.words or "/" not in found.words[0]:
        return None
    used, _, size = found.words[0].partition("/")
    return Fill(int(used) * _SECTOR, int(size) * _SECTOR)


@attrs.frozen
class PoolStatus:
    """What the kernel says of a thin pool. Bytes."""

    transaction: int
    metadata: Fill
    data: Fill
    held_root: str
    """Where the snapshot of the metadata is that somebody has reserved; ``-`` if nobody has."""
    mode: str
    """``rw``, ``ro``, ``out_of_data_space``; ``Fail`` or ``Error`` alone where nothing else is known."""
    needs_check: bool

    @property
    def trouble(self) -> str | None:
        """Why nothing should rely on it."""
        if self.needs_check:
            return "the thin pool needs a check (thin_check)"
        return None if self.mode == "rw" else f"the thin pool is not writable ({self.mode})"


def pool_status(found: Status, block_size: int) -> PoolStatus | None:
    """Of a ``thin-pool`` target (thin-provisioning.rst, "Status"), whose blocks have so many bytes."""
    if found.target != "thin-pool" or not found.words:
        return None
    if len(found.words) < 5:
        nothing = Fill(0, 1)
        return PoolStatus(0, nothing, nothing, held_root="-", mode=found.words[0], needs_check=False)
    transaction, metadata, data, root, mode, *more = found.words
    used, _, total = metadata.partition("/")
    blocks, _, all_blocks = data.partition("/")
    return PoolStatus(
        int(transaction),
        Fill(int(used) * _METADATA_BLOCK, int(total) * _METADATA_BLOCK),
        Fill(int(blocks) * block_size, int(all_blocks) * block_size),
        held_root=root,
        mode=mode,
        needs_check="needs_check" in more,
    )
