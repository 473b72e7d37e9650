"""What is taken whole although it is known by name, and why."""

from __future__ import annotations

from typing import Final

_CONTAINER: Final = "what it holds is not a file system of this volume"
_WHY: Final = {
    "LVM2_member": f"a physical volume of LVM: {_CONTAINER}; the logical volumes can be taken one by one",
    "LVM1_member": f"a physical volume of LVM: {_CONTAINER}; the logical volumes can be taken one by one",
    "crypto_LUKS": "encrypted: nothing tells used from unused from outside",
    "BitLocker": "encrypted: nothing tells used from unused from outside",
    "linux_raid_member": f"a member of an array: {_CONTAINER}; the array can be taken instead",
    "bcache": f"a cache or what it caches: {_CONTAINER}",
    "DM_snapshot_cow": "the store of a snapshot: which of it is used is for its owner to say",
    "zfs_member": "a member of a ZFS pool: which of it is used is for the whole pool to say",
    "jbd": "a journal of another volume: every block of it may be needed",
    "swsuspend": "a system in hibernation: its memory lies here, and is needed whole",
}


def reason(name: str) -> str:
    """Why a volume that holds ``name`` is taken whole."""
    return f"{name}: {_WHY.get(name, 'its used blocks cannot be read')}"
