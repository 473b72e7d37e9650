"""Spans of time as people write them."""

from __future__ import annotations

import datetime as dt
import re
from typing import Final

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DURATION: Final = re.compile(r"([0-9]{1,6})([smhdw])", re.ASCII)


def duration(text: str) -> dt.timedelta:
    """From ``90s``, ``30m``, ``26h``, ``30d``, ``4w``. Raises ValueError with a sentence."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no span of time; write it like 30m, 26h, 30d or 4w")
    return dt.timedelta(**{_UNITS[match[2]]: int(match[1])})
