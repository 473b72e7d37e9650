"""The list of an image's chunks, counted while it is made."""

from __future__ import annotations

import attrs

from holdstill.repository.layout import ID_SIZE, BlobKind
from holdstill.repository.pages import TreeBuilder
from holdstill.repository.session import WriterSession
from holdstill.repository.trees import filled


@attrs.define
class Counted:
    """A tree builder that counts the chunks it is given, and the encoded size of the distinct ones."""

    session: WriterSession
    tree: TreeBuilder
    chunks: int = 0
    encoded_size: int = 0

    def append(self, ids: bytes) -> None:
        """The next ids: 32 bytes each. All are known to the session."""
        needed = [ids[at * ID_SIZE : (at + 1) * ID_SIZE] for at in filled(ids)]
        self.chunks += len(needed)
        self.encoded_size += self.session.need(BlobKind.CHUNK, needed)
        self.tree.append(ids)

    def append_zeros(self, count: int) -> None:
        """The next ``count`` chunks are zero."""
        self.tree.append_zeros(count)
