"""One committed image, and the sizes that are told of it."""

from __future__ import annotations

import attrs

from holdstill.model.managed import Managed
from holdstill.model.volume import Consistency, Mode, VolumeFacts


@attrs.frozen
class Sizes:
    """The six sizes, all bytes. Never mixed up: see docs/glossary.md."""

    volume_size: int
    """The volume's, used or not."""
    used_size: int
    """What the block map says is in use."""
    read_size: int = 0
    """What this run read from the volume."""
    stored_size: int = 0
    """What this run added to the repository."""
    image_size: int = 0
    """The encoded bytes of all chunks that the image needs, shared or not."""
    cache_peak: int = 0
    """The most snapshot space that was in use; part of none of the others."""


@attrs.frozen
class Unread:
    """A range that could not be read and is zero in the image (``--on-read-error zero``). Bytes."""

    offset: int
    length: int


@attrs.frozen
class Audit:
    """What somebody else than the reader of the map said, at the same instant, of a sample of what it calls unused:
    that it is unused.
    """

    by: str
    """Who was asked, and what kept it to the same instant."""
    ranges: int
    """How many ranges were asked about."""
    size: int
    """How many bytes of them were confirmed."""


@attrs.frozen
class Origin:
    """Where a copied image was made: the repository's id and its own id there. A copy of a copy names the first."""

    repository: str
    image: str


@attrs.frozen
class Tree:
    """A list of blob ids, stored as pages of ids (docs/reference/repository-format.md, "Pages").

    ``root`` is the id of the top page, or all zero for a list of zero ids only; ``height`` 0 means that the
    root *is* the only element; ``count`` is the number of elements.
    """

    root: bytes
    height: int
    count: int


@attrs.frozen
class Image:
    """One committed backup of one volume: a full logical image, whatever was read for it."""

    id: str
    """32 hexadecimal digits; a unique prefix will do where a user types it."""
    number: int
    """Its writer's place in the ledger."""
    host: str
    taken: str
    """When the still stood: RFC 3339 UTC, from the host's clock. For people; nothing is proved by it."""
    volume: VolumeFacts
    mode: Mode
    consistency: Consistency
    sizes: Sizes
    chunk_size: int
    chunks: Tree
    map: Tree
    map_block_size: int
    seconds: float
    """How long the backup took; stored in milliseconds."""
    whole_volume_because: str | None = None
    notes: tuple[str, ...] = ()
    unread: tuple[Unread, ...] = ()
    new_chunks: int = 0
    reused_chunks: int = 0
    preferences: dict[str, str] = attrs.field(factory=dict)
    segments: tuple[str, ...] = ()
    """Keys of the index segments that this backup wrote."""
    made_by: str = ""
    """The engine and its version."""
    audit: Audit | None = None
    """Evidence for the map; None: not audited."""
    origin: Origin | None = None
    """None: it was made in this repository."""
    managed: Managed | None = None
    """The volume manager that the volume was of; None if it had none, or none that a plugin knew."""
    signer: str = attrs.field(default="", eq=False)
    """The public key of the host that may only write and signed the record that this was read from; empty if who may
    read did. It is in no record.
    """
