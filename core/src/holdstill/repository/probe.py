"""Does the target keep its promise of exclusive creation, now and here?"""

from __future__ import annotations

import secrets

from holdstill.errors import TargetUnfit
from holdstill.spi.target import Target


def probe_exclusive_create(target: Target) -> None:
    """Create one fresh key twice. Raises ``TargetUnfit`` unless the first succeeds and the second does not."""
    key = f"probe/{secrets.token_hex(16)}"
    try:
        first, second = target.put_if_absent(key, [b"first"]), target.put_if_absent(key, [b"second"])
        kept = target.get(key)
    finally:
        target.delete(key)
    if not first or second or kept != b"first":
        raise TargetUnfit(
            "creating one name twice was not refused, so two backups could overwrite each other",
            subject=target.url,
            next_step="Use a target that creates exclusively, or one that is declared single-writer at init.",
        )
