"""A logical volume that is not active: it gets a device for as long as it is imaged, and loses it afterwards."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Final

import attrs

from holdstill.errors import VolumeUnusable
from holdstill.spi.activation import Activation
from holdstill.spi.given_back import GivenBack
from holdstill.spi.holds import Undone, UndoState
from holdstill.spi.runner import Runner
from holdstill.spi.still import HoldRequest
from holdstill_lvm2 import mapper
from holdstill_lvm2.fitness import EXPORTED, unfit
from holdstill_lvm2.lvm import PATH, LogicalVolume, Lvm

KIND: Final = "lvm2.active"
VERSION: Final = 1
#: another one at each start of the host (Documentation/admin-guide/sysctl/kernel.rst), which ends all that was active
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


@attrs.frozen
class Activated(Activation):
    """One that is active because we made it so."""

    said: str
    back: GivenBack

    def put_back(self) -> None:
        """See ``Activation``."""
        self.back()


def activate(path: str, request: HoldRequest) -> Activated | None:
    """Give the volume of ``path`` its device. None if LVM knows none there that is inactive. Raises ``VolumeUnusable``
    for one that is not to be activated, or that LVM does not activate.
    """
    lvm = Lvm(request.runner)
    found = lvm.at(path)
    if found is None:
        named = PATH.fullmatch(path)
        if named is not None and named[1] != "mapper" and lvm.is_exported(named[1]):
            raise _stays_asleep(path, EXPORTED)
        return None
    if found.is_active:
        return None
    if reason := _asleep_for_good(found):
        raise _stays_asleep(path, reason)
    data = {
        "what": f"{found.full_name}, which was not active",
        "vg_uuid": found.group.uuid,
        "lv_uuid": found.uuid,
        "boot": _boot(),
    }
    by_hand = f"lvchange --activate n {found.full_name}"
    hold = request.holds.hold(KIND, data, by_hand=by_hand, version=VERSION)
    said = "it was not active: it is activated, and will be inactive again when it was imaged"
    undone = partial(undo, VERSION, data, request.runner)
    woken = Activated(said, GivenBack(hold, undone, time.sleep, subject=found.full_name, by_hand=by_hand))
    # One that is skipped when the host starts is meant here, by its name.
    ran = lvm.change("lvchange", "--activate", "y", "--ignoreactivationskip", "--ignoremonitoring", found.full_name)
    try:
        if not ran.ok or mapper.status(lvm, found.mapped) is None:
            raise VolumeUnusable(f"it is not active, and LVM does not activate it: {ran.said}", subject=path)
        data["sequence"] = mapper.sequence(lvm, found.mapped)
        hold.update(sequence=data["sequence"])
    except BaseException:
        woken.put_back()
        raise
    return woken


def undo(version: int, data: dict[str, str], runner: Runner) -> Undone:
    """Make it inactive again, unless somebody uses it, the host was started since, or somebody else made it active."""
    if version != VERSION:
        return Undone(UndoState.UNKNOWN, f"this release does not know version {version} of {KIND}")
    if data["boot"] != _boot():
        return Undone(UndoState.ABSENT, "the host was started since")
    lvm = Lvm(runner, patient=True)
    found = next((each for each in lvm.volumes(data["vg_uuid"]) if each.uuid == data["lv_uuid"]), None)
    if found is None and lvm.group(data["vg_uuid"]) is None:
        return Undone(UndoState.UNKNOWN, f"LVM sees no volume group {data['vg_uuid']}")
    if found is None or not found.is_active:
        return Undone(UndoState.ABSENT)
    sequence = data.get("sequence", "")
    if sequence and mapper.sequence(lvm, found.mapped) != sequence:
        return Undone(UndoState.ABSENT, "somebody else has made it active since")
    # LVM refuses what is mounted or open. By the UUID, for the name may be another's by now.
    chosen = f'lv_uuid="{found.uuid}"'
    ran = lvm.change("lvchange", "--activate", "n", "-S", chosen, found.group.name)
    if mapper.status(lvm, found.mapped) is None:
        return Undone(UndoState.REMOVED, f"{found.full_name} is inactive again")
    return Undone(UndoState.BUSY, f"it was not active before, and is still active now: {ran.said}")


def _asleep_for_good(found: LogicalVolume) -> str | None:
    if reason := unfit(found):
        return reason
    if "snapshot" in found.roles and not found.is_thin:
        return "it is a snapshot, which is active only together with its origin"
    return None


def _stays_asleep(path: str, reason: str) -> VolumeUnusable:
    return VolumeUnusable(f"it is not active, and is not activated for an image: {reason}", subject=path)


def _boot() -> str:
    return _BOOT.read_text().strip()
