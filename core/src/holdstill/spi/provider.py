"""What a plugin says of itself."""

from __future__ import annotations

import attrs


@attrs.frozen
class ProviderInfo:
    """Static facts, cheap to ask for: no I/O, no program started.

    The core chooses by these: a target by ``schemes``, a block-map reader by ``filesystems``, a platform by
    ``applies_here``.
    """

    name: str
    """Short and unique: ``platforms``, ``lvm2``."""
    summary: str
    """What it is for, in one line."""
    schemes: tuple[str, ...] = ()
    """URL schemes of the storage targets it opens."""
    filesystems: tuple[str, ...] = ()
    """File systems whose used blocks it reads, as ``FilesystemFacts.name`` spells them."""
    modes: tuple[str, ...] = ()
    """Modes it can hold a volume in."""
    settings: tuple[str, ...] = ()
    """What may be set of it in ``provider-settings``; the values are its own business (``HoldRequest.settings_of``)."""
    applies_here: bool = True
    """Is this its operating system?"""
    because: str = ""
    """If not, why not."""
    systems: tuple[str, ...] = ()
    """Operating systems that it serves on other machines, through a ``Runner`` and a ``Machine`` alone: what
    ``sys.platform`` begins with there (``aix``, ``hp-ux``, ``sunos``, ``linux``)."""
