"""What may be chosen where a volume is held still, and the choices' defaults that several rooms share."""

from __future__ import annotations

import enum
from typing import Final

#: bytes; gaps up to this are read along: one long read costs less than two short ones
READ_ALONG: Final = 64 << 10
#: in place of the name of a snapshot provider: whichever can, and none at all
ANY_PROVIDER: Final = "any"
NO_PROVIDER: Final = "none"


#: kinds of file systems that are not imaged while they change, as TSM has it ("Dynamicimage", Storage Protect)
NEVER_DYNAMIC: Final = ("jfs2",)


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
