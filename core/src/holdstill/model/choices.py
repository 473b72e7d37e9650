"""What may be chosen where a volume is held still, and the choices' defaults that several rooms share."""

from __future__ import annotations

import enum
import re
from typing import Final

#: bytes; gaps up to this are read along: one long read costs less than two short ones
READ_ALONG: Final = 64 << 10
#: in place of the name of a snapshot provider: whichever can, and none at all
ANY_PROVIDER: Final = "any"
NO_PROVIDER: Final = "none"


#: kinds of file systems that are not imaged while they change, as TSM has it ("Dynamicimage", Storage Protect)
NEVER_DYNAMIC: Final = ("jfs2",)

#: one setting of a provider: its name, its own name for the setting, the value
_SETTING: Final = re.compile(r"([a-z0-9_]+\.[a-z0-9-]+)=(\S+)")


def provider_settings(text: str) -> dict[str, str]:
    """``provider.setting`` to value, from words like ``jfs2.extents=fscntl``. Raises ValueError with a sentence."""
    found: dict[str, str] = {}
    for word in text.split():
        match = _SETTING.fullmatch(word)
        if match is None:
            raise ValueError(f"{word!r} is no setting of a provider; write it like provider.setting=value")
        if found.setdefault(match[1], match[2]) != match[2]:
            raise ValueError(f"{match[1]} is set twice")
    return found


class OnNoSnapshot(enum.StrEnum):
    """What ``auto`` does with a volume in use of which no snapshot can be made."""

    FAIL = "fail"
    STATIC = "static"
    FREEZE = "freeze"
    DYNAMIC = "dynamic"


class StaticMethod(enum.StrEnum):
    """How a mounted volume is made static."""

    REMOUNT = "remount"
    UNMOUNT = "unmount"
