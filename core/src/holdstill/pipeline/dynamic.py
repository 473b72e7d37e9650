"""A volume that changes while it is read: what became used meanwhile is read too, until nothing did, or three times."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import attrs

from holdstill.model.extents import Extents
from holdstill.model.windows import align, difference, regroup, union
from holdstill.pipeline.copying import Copier
from holdstill.pipeline.sampling import differing, sample
from holdstill.pipeline.spool import MapSpool
from holdstill.pipeline.survey import Surveyed
from holdstill.spi.meter import Meter

#: how often the map is read again before the whole volume is taken
ROUNDS: Final = 3
#: maps are looked through in pieces of this many bytes, a multiple of every chunk size
_PIECE: Final = 1 << 30


@attrs.frozen
class Settled:
    """The map that goes with the image, and what is to be said of it."""

    surveyed: Surveyed
    notes: tuple[str, ...] = ()


def settle(
    copier: Copier,
    first: Surveyed,
    survey_again: Callable[[], Surveyed],
    scratch: Path,
    meter: Meter,
    maps: ExitStack,
) -> Settled:
    """Read what the map gained while ``first`` was copied, and so on; give the union of all maps.

    After ``ROUNDS`` rounds that all gained something the whole volume is read: a map that never stands still says
    nothing. ``maps`` closes the maps that are made on the way, once the image is committed; ``first`` is its owner's.
    """
    known, rounds = first, 0
    while rounds < ROUNDS:
        rounds += 1
        with survey_again() as again, MapSpool(scratch) as gained:
            if again.whole_volume_because is not None and first.whole_volume_because is None:
                return _whole(copier, known, again.whole_volume_because, maps.enter_context(MapSpool(scratch)), meter)
            for window in difference(again.windows(), known.windows()):
                gained.append(window)
            if not gained.total:
                return Settled(known, (_share_changed(copier, known),))
            known = _united(known, again, maps.enter_context(MapSpool(scratch)))
            copier.copy(_of_touched_chunks(gained.windows(), known, copier), meter)
    reason = f"the volume changed too much: its map grew {ROUNDS} times while it was read"
    return _whole(copier, known, reason, maps.enter_context(MapSpool(scratch)), meter)


def _united(one: Surveyed, other: Surveyed, spool: MapSpool) -> Surveyed:
    for window in union(one.windows(), other.windows()):
        spool.append(window)
    return attrs.evolve(one, spool=spool)


def _whole(copier: Copier, known: Surveyed, reason: str, spool: MapSpool, meter: Meter) -> Settled:
    spool.append(Extents.whole(copier.reader.size))
    whole = attrs.evolve(known, spool=spool, whole_volume_because=reason)
    copier.copy(whole.windows(), meter)
    return Settled(whole, (_share_changed(copier, whole),))


def _of_touched_chunks(gained: Iterable[Extents], known: Surveyed, copier: Copier) -> Iterator[Extents]:
    """The used bytes of every chunk in which something was gained: a chunk is read as a whole or not at all."""
    touched = regroup(align(gained, copier.chunk_size, copier.reader.size), _PIECE)
    used = regroup(known.windows(), _PIECE)
    place, part = next(used, (0, Extents.none()))
    for start, chunks in touched:
        while place < start:
            place, part = next(used)
        yield part.intersection(chunks)


def _share_changed(copier: Copier, surveyed: Surveyed) -> str:
    """Read a sample of the used chunks once more and say how many differ by now."""
    chosen = sample(surveyed.windows(), surveyed.used_size, copier.chunk_size)
    changed = differing(copier, chosen)
    share = 100 * changed / len(chosen) if chosen else 0.0
    return f"of {len(chosen)} chunks read twice, {changed} had changed ({share:.0f} %)"
