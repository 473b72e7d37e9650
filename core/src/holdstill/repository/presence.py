"""Is there an object under a key?"""

from __future__ import annotations

from holdstill.errors import ObjectMissing
from holdstill.spi.target import Target


def is_there(target: Target, key: str) -> bool:
    """Asks the target itself, not a listing. Raises ``TargetError`` if it does not answer."""
    try:
        target.size(key)
    except ObjectMissing:
        return False
    return True
