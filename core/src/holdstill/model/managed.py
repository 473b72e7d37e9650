"""The volume manager behind a volume, as an image keeps it."""

from __future__ import annotations

from typing import Final

import attrs

#: the longest layout that an image keeps, characters
LONGEST_LAYOUT: Final = 1 << 20


@attrs.frozen
class Managed:
    """Whose volume it was, and what its manager knew of it: enough to make such a volume again.

    What the names mean is the plugin's business that gave them; the core only keeps them.
    """

    manager: str
    """The volume manager, as its plugin calls it: ``lvm2``."""
    client: str
    """The level of the backup client that made the image, as the manager's rules count it: ``5.4``."""
    facts: dict[str, str] = attrs.field(factory=dict)
    """Names, UUIDs, sizes."""
    layout: str = attrs.field(default="", validator=attrs.validators.max_len(LONGEST_LAYOUT))
    """What describes the whole of the manager's group, in the manager's own words; may be empty."""
