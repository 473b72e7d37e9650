"""Does an S3 service honour ``If-None-Match: *``? Many that speak like S3 ignore it without a word."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from holdstill_storage.s3 import S3Target

#: a service that looks before it stores loses one of these races sooner or later; ``target check`` runs more
_RACES: Final = 6
_RACERS: Final = 4


def is_exclusive(target: S3Target) -> bool:
    """Create keys of our own twice, one after the other and side by side. Raises what the target raises."""
    folder = f"probe/{secrets.token_hex(16)}"
    keys = [f"{folder}/{number}" for number in range(_RACES)]
    try:
        with ThreadPoolExecutor(_RACERS) as racers:
            return all(_has_one_winner(target, key, racers) for key in keys)
    finally:
        for key in keys:
            target.delete(key)


def _has_one_winner(target: S3Target, key: str, racers: ThreadPoolExecutor) -> bool:
    bids = [secrets.token_bytes(1000) for _ in range(_RACERS)]
    won = list(racers.map(lambda bid: target.put_if_absent(key, [bid]), bids))
    late = target.put_if_absent(key, [b"late"])
    winners = [bid for bid, win in zip(bids, won, strict=True) if win]
    return not late and len(winners) == 1 and target.get(key) == winners[0]
