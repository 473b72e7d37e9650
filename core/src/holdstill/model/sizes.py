"""Sizes as people write them."""

from __future__ import annotations

import re
from typing import Final

_UNITS: Final = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40, "P": 50}
_SIZE: Final = re.compile(r"([0-9]+)(?:([KMGTP])(?:iB)?|B)?", re.ASCII | re.IGNORECASE)
_SHARE: Final = re.compile(r"([0-9]{1,3})%", re.ASCII)
_NAMES: Final = ("KiB", "MiB", "GiB", "TiB", "PiB")
#: no offset of a volume lies beyond this
LARGEST: Final = 1 << 62


def space(text: str) -> str:
    """``text``, if it is a share from ``1%`` to ``100%``, a size above zero, or empty. Raises ValueError with a
    sentence.
    """
    share = _SHARE.fullmatch(text)
    if share and not 1 <= int(share[1]) <= 100:
        raise ValueError(f"{text!r} is not between 1% and 100%")
    if text and not share and size(text) == 0:
        raise ValueError("no snapshot lives in no space")
    return text


def size(text: str) -> int:
    """Bytes from ``4096``, ``64K``, ``1M``, ``2GiB``: units are powers of 1024.

    ``KB`` and its like are refused: half the world reads 1000 there. Raises ValueError with a sentence.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no size; write it like 4096, 64K, 1M or 2GiB")
    number = int(match[1]) << _UNITS[(match[2] or "").upper()]
    if number > LARGEST:
        raise ValueError(f"{text!r} is larger than any volume")
    return number


def human(number: int) -> str:
    """A number of bytes as ``17 B``, ``1.5 GiB``, ``640 MiB``: three or four digits, never rounded up a unit."""
    if number < 1 << 10:
        return f"{number} B"
    unit = min((number.bit_length() - 1) // 10, len(_NAMES))
    whole, rest = divmod(number, 1 << 10 * unit)
    tenth = rest * 10 >> 10 * unit
    return f"{whole}.{tenth} {_NAMES[unit - 1]}" if whole < 100 else f"{whole} {_NAMES[unit - 1]}"
