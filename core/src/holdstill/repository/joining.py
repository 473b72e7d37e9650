"""Storing the rows of packs anew, without those of packs that are gone, and many small segments as one."""

from __future__ import annotations

import platform
from typing import Final

import numpy as np

from holdstill.errors import Fenced
from holdstill.repository import layout
from holdstill.repository.index import Index
from holdstill.repository.session import Kept
from holdstill.repository.standing import Standing

#: so many segments with few rows are left alone
_FEW: Final = 64
_SMALL: Final = 4096
#: a segment of which this share of rows is of no use is stored anew
_USELESS: Final = 0.25


def join_segments(standing: Standing, deleted: set[int], kept: Kept) -> None:
    """Replace the segments for which that is worth it. ``deleted``: the packs that went in this run.

    Only segments whose rows this run has stored anew are deleted, and only after the new ones have a record that names
    them.
    """
    index = standing.shelf.index
    on_list = np.flatnonzero(standing.on_list()).tolist()
    gone = deleted | {place for place in on_list if standing.size_of(place) < 0}
    old = _worth_replacing(standing, gone)
    if not old:
        return
    moving = {place for segment in old for place in old[segment]} - gone
    with standing.repository.begin(platform.node(), "upkeep") as session, kept(session):
        try:
            wanted = np.zeros(len(index.packs), dtype=np.bool_)
            wanted[list(moving)] = True
            session.commit_upkeep(index.rows_of(wanted), sorted(old))
        except Fenced:
            return
    for segment in sorted(old):
        standing.repository.target.delete(segment)


def _worth_replacing(standing: Standing, gone: set[int]) -> dict[str, list[int]]:
    """Segments of settled writers, each with the packs that it names."""
    naming = standing.shelf.naming.by_segment()
    strange = standing.shelf.strangers()
    ours = {
        segment: packs
        for segment, packs in naming.items()
        # We must not vouch for what strangers tell of packs that are there.
        if _is_settled(standing, segment) and not any(strange[each] for each in packs if each not in gone)
    }
    index = standing.shelf.index
    small = {segment for segment, packs in ours.items() if _rows(index, packs) < _SMALL}
    small = small if len(small) > _FEW else set()
    return {
        segment: packs
        for segment, packs in ours.items()
        if segment in small or _rows(index, [each for each in packs if each in gone]) >= _USELESS * _rows(index, packs)
    }


def _rows(index: Index, places: list[int]) -> int:
    return int(index.packs.table["rows"][places].sum(dtype=np.int64))


def _is_settled(standing: Standing, segment: str) -> bool:
    split = layout.split_segment_key(segment)
    return split is not None and standing.settled(split[0])
