"""What may be chosen where a volume is held still, and the choices' defaults that several rooms share."""

from __future__ import annotations

import enum
from typing import Final

#: bytes; gaps up to this are read along: one long read costs less than two short ones
READ_ALONG: Final = 64 << 10


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
