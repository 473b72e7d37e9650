"""What is known of each kind of storage that fsspec reaches. Only those whose PUT is whole are here.

fsspec writes a file on ``sftp``, ``smb``, ``ftp`` or its own ``local`` by truncating it in place, so that a reader
sees it half done and a death leaves it so. Those are not offered: they would break the first obligation of a target.
"""

from __future__ import annotations

from typing import Final

import attrs

from holdstill.spi.target import Durability


@attrs.frozen
class Kind:
    """One kind of storage. Without exclusive creation a repository there has a single writer, and says so."""

    durability: Durability
    exclusive: bool = False
    """Are creates exclusive? fsspec's ``mode="create"`` is no evidence of it."""
    connections: int = 8


_SERVICE: Final = Kind(Durability.POWER)

#: by URL scheme; ``memory`` is one process's own, so that a lock of ours makes its creates exclusive
KINDS: Final = {
    "memory": Kind(Durability.MEMORY, exclusive=True, connections=2),
    "s3": _SERVICE,
    "gs": _SERVICE,
    "gcs": _SERVICE,
    "abfs": _SERVICE,
    "az": _SERVICE,
}
