"""What an image tells of the still it was read from, beyond its mode."""

from __future__ import annotations

from collections.abc import Iterator

from holdstill.model.sizes import human
from holdstill.pipeline.survey import Surveyed
from holdstill.spi.still import Exactness, Still


def told(still: Still, surveyed: Surveyed) -> tuple[str, ...]:
    """Sentences without their end."""
    return (*still.notes, *_inexact(still, surveyed))


def _inexact(still: Still, surveyed: Surveyed) -> Iterator[str]:
    if still.exactness is Exactness.INSIDE_MAP and surveyed.whole_volume_because:
        yield "where the file system has nothing allocated it may be newer than the rest: no snapshot need keep that"
    if still.not_held:
        yield f"{human(still.not_held.total)} were read as they are: the snapshot does not hold them"
