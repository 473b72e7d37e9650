"""What the user named, made a volume."""

from __future__ import annotations

import os

from holdstill.errors import PluginError, ReadFault, StructureFault, UsageError
from holdstill.model.volume import VolumeFacts
from holdstill.pipeline import plainfile
from holdstill.pipeline.away import asking, is_away, volume_at
from holdstill.plugins.registry import Plugins
from holdstill.spi.volume import Volume


def find(plugins: Plugins, path: str) -> Volume:
    """The volume behind ``path``, from the platform plugin, else as a plain file; a URL's on its machine. Raises
    ``VolumeError`` and its kinds, ``MachineError`` and its kinds.
    """
    if is_away(path):
        return volume_at(plugins, path)
    absolute = absolute_of(path)
    return plugins.identify(absolute, asking()) or plainfile.identify(absolute)


def absolute_of(path: str) -> str:
    """What the user named, made absolute; links stay as the user named them."""
    return path if is_away(path) else os.path.abspath(path)  # noqa: PTH100


def given_snapshot(plugins: Plugins, path: str, origin: VolumeFacts) -> Volume:
    """The device of a snapshot of ``origin``, named by itself or by where it is mounted. Raises ``UsageError`` for what
    cannot be one, and ``VolumeError`` and its kinds.
    """
    snapshot = find(plugins, path)
    if snapshot.facts.device == origin.device:
        raise UsageError("this is the volume itself", subject=path, next_step="name the device of its snapshot")
    if snapshot.facts.size != origin.size:
        raise UsageError(
            f"{snapshot.facts.size} bytes are no snapshot of {origin.path}, which has {origin.size}",
            subject=path,
            next_step="name a device on which the whole volume can be read as it was",
        )
    its, mine = (_filesystem(plugins, volume) for volume in (snapshot, find(plugins, origin.path)))
    if its != mine:
        raise UsageError(
            f"another file system is on it ({its or 'none'}) than on {origin.path} ({mine or 'none'})",
            subject=path,
            next_step="name the device of a snapshot of this volume",
        )
    return snapshot


def _filesystem(plugins: Plugins, volume: Volume) -> str:
    """What tells it from every other; empty if nobody recognises it."""
    with volume.open_reader(exclusive=False) as reader:
        try:
            facts = plugins.recognise(reader)
        except (StructureFault, ReadFault, PluginError):
            return ""
    return f"{facts.name} {facts.uuid}".strip() if facts else ""
