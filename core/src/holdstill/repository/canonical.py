"""Canonical JSON: one way only to write a value, so that no byte of a body is free."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from holdstill.errors import Damaged


def encode(value: dict[str, Any]) -> bytes:
    """Sorted keys, no spaces, ASCII; maps, lists, strings, integers, booleans and null only."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def decode(body: bytes, key: str) -> dict[str, Any]:
    """The map in ``body``. Raises ``Damaged`` naming ``key`` for anything that ``encode`` would write otherwise."""
    try:
        value = json.loads(body, parse_float=_no_floats, parse_constant=_no_floats)
        canonical = isinstance(value, dict) and encode(value) == body
    except (ValueError, RecursionError) as error:
        raise Damaged("its body is not JSON as this format writes it", subject=key) from error
    if not canonical:
        raise Damaged("its body is not canonical JSON", subject=key)
    return value  # type: ignore[no-any-return]  # a dict, as checked


def _no_floats(text: str) -> NoReturn:
    raise ValueError(f"not an integer: {text}")
