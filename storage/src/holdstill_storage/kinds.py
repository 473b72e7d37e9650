"""What is known of each kind of storage that is reached by fsspec's own means, and what is not.

fsspec writes a file on many of them (``ftp``, ``smb``, its own ``local``) by truncating it in place, so that a reader
sees it half done and a death leaves it so. ``init`` tries those of which nothing is known, and refuses what fails.
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
    known: bool = True
    """Is its PUT known to be whole or absent?"""


_SERVICE: Final = Kind(Durability.POWER)
UNKNOWN: Final = Kind(Durability.CRASH, connections=2, known=False)

#: schemes for which there are targets of our own
OWN: Final = ("file", "s3", "sftp")
#: by URL scheme; ``memory`` is one process's own, so that a lock of ours makes its creates exclusive
KINDS: Final = {
    "memory": Kind(Durability.MEMORY, exclusive=True, connections=2),
    "gs": _SERVICE,
    "gcs": _SERVICE,
    "abfs": _SERVICE,
    "az": _SERVICE,
}
#: what else fsspec itself knows and could be written to, ``UNKNOWN`` each
OTHERS: Final = (
    "adl", "arrow_hdfs", "box", "dask", "dbfs", "dropbox", "ftp", "gdrive", "hdfs", "hf", "http", "https", "lakefs",
    "local", "oci", "oss", "smb", "tos", "webdav", "webhdfs",
)  # fmt: skip
