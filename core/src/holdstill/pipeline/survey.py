"""Still to block map: what the file system says it uses, checked, and spooled once for everybody who needs it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import attrs

from holdstill.errors import PluginError, ReadFault, StructureFault
from holdstill.model.blockmap import BlockMap, WholeVolume
from holdstill.model.extents import Extents
from holdstill.model.image import Audit
from holdstill.model.results import MapResult
from holdstill.model.volume import FilesystemFacts, VolumeFacts
from holdstill.pipeline.auditing import sample
from holdstill.pipeline.spool import MapSpool
from holdstill.plugins.registry import Plugins
from holdstill.spi.reader import Reader
from holdstill.spi.volume import Volume


@attrs.frozen
class Surveyed:
    """What is in use. Sizes in bytes. Close it when nobody needs the map any more."""

    filesystem: FilesystemFacts | None
    block_size: int
    whole_volume_because: str | None
    notes: tuple[str, ...]
    audit: Audit | None
    """Evidence for the map, from somebody else than who read it."""
    _spool: MapSpool = attrs.field(repr=False)

    @property
    def used_size(self) -> int:
        """How many bytes the map names."""
        return self._spool.total

    def windows(self) -> Iterator[Extents]:
        """The map: ascending, no two runs touch. May be asked for as often as needed."""
        return self._spool.windows()

    def close(self) -> None:
        """Give the scratch space back. May be called twice."""
        self._spool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


@attrs.frozen
class SurveyedMap:
    """The used blocks of a volume: the facts, and the runs as a stream that may be read more than once."""

    result: MapResult
    _surveyed: Surveyed

    def windows(self) -> Iterator[Extents]:
        """The used bytes, ascending, window by window."""
        return self._surveyed.windows()


@contextlib.contextmanager
def mapped(plugins: Plugins, volume: Volume, scratch: Path) -> Iterator[SurveyedMap]:
    """Which blocks of a volume are in use, read as it is, whoever writes to it."""
    with (
        volume.open_reader(exclusive=False) as reader,
        survey(plugins, reader, volume.facts, None, scratch) as surveyed,
    ):
        result = MapResult(
            attrs.evolve(volume.facts, filesystem=surveyed.filesystem),
            surveyed.filesystem,
            surveyed.block_size,
            surveyed.used_size,
            surveyed.whole_volume_because,
            surveyed.notes,
        )
        yield SurveyedMap(result, surveyed)


def survey(
    plugins: Plugins,
    reader: Reader,
    facts: VolumeFacts,
    gap_size: int | None,
    scratch: Path,
    audit: Callable[[Extents], Audit | None] | None = None,
    *,
    as_raw: bool = False,
) -> Surveyed:
    """Ask which blocks are used and spool the answer in the folder ``scratch``; the whole volume if nobody knows.

    ``audit`` is asked about a sample of what is not; what it raises for bytes that are in use ends the map.

    A map is a claim. One that goes back, that names bytes outside the volume, that breaks off, or that names nothing
    at all is not believed in any part. Raises ``AmbiguousProvider`` if two plugins claim the volume.
    """
    filesystem, claim = _claimed(plugins, reader, facts, gap_size)
    if as_raw:
        claim = WholeVolume("asked for as the raw device")
    with contextlib.ExitStack() as on_failure:
        spool = on_failure.enter_context(MapSpool(scratch))
        believed = claim if isinstance(claim, WholeVolume) else _believed(claim, spool)
        evidence: Audit | None = None
        if isinstance(believed, BlockMap) and audit is not None:
            try:
                evidence = audit(sample(spool.windows(), reader.size))
            except StructureFault as fault:
                believed = WholeVolume(f"the block map is not believed: {fault}")
        if isinstance(believed, BlockMap):
            surveyed = Surveyed(filesystem, believed.block_size, None, believed.notes, evidence, spool)
        else:
            spool.clear()
            spool.append(Extents.whole(reader.size))
            block_size = filesystem.block_size if filesystem and filesystem.block_size else facts.logical_sector
            surveyed = Surveyed(filesystem, block_size, believed.reason, (), None, spool)
        on_failure.pop_all()
        return surveyed


def _claimed(
    plugins: Plugins, reader: Reader, facts: VolumeFacts, gap_size: int | None
) -> tuple[FilesystemFacts | None, BlockMap | WholeVolume]:
    filesystem = facts.filesystem
    try:
        filesystem = plugins.recognise(reader) or filesystem
        if gap_size == 0:
            return filesystem, WholeVolume("asked for with gap size 0")
        if filesystem is None:
            return None, WholeVolume(plugins.unrecognised())
        return filesystem, plugins.enumerate_used_blocks(reader, filesystem)
    except (StructureFault, ReadFault, PluginError) as error:
        return filesystem, WholeVolume(f"the block map cannot be read: {error}")


def _believed(claim: BlockMap, spool: MapSpool) -> BlockMap | WholeVolume:
    """The claim, when all of it is in the spool and nothing spoke against it."""
    try:
        for window in claim.windows:
            spool.append(window)
    except (StructureFault, ReadFault, PluginError) as error:
        return WholeVolume(f"the block map cannot be read: {error}")
    return claim if spool.total else WholeVolume("the block map says that nothing is used, which no file system can")
