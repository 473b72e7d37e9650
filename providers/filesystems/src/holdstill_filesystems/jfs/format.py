"""What the JFS of Linux and OS/2 and the JFS2 of AIX differ in; everything else they have in common."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from holdstill_filesystems.fields import Layout


@attrs.frozen(kw_only=True)
class Format:
    """One of the two. All layouts are of one byte order."""

    magic: bytes
    block_sizes: tuple[int, ...]
    """Bytes."""
    superblock: Layout
    copied: tuple[str, ...]
    """Fields in which the second superblock must agree with the first."""
    copies: tuple[str, ...]
    """Fields that say where copies of structures lie, among the blocks."""
    inode: Layout
    page: Layout
    """A page of a tree."""
    control: Layout
    bitmap: Layout
    tree: Layout
    """Pages of the block map."""
    known_flags: int
    orderly: frozenset[int]
    """States in which it was left in order."""
    states: Mapping[int, str]
    """What the others mean."""
    log: Layout | None
    """The superblock of a log, where its layout is known."""

    @property
    def order(self) -> str:
        """The byte order, as ``struct`` has it."""
        return self.superblock.order
