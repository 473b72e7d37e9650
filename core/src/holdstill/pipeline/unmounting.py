"""The target of a restore is unmounted, and mounted again as it was when it holds the image."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final

import attrs

from holdstill.errors import NoProvider, VolumeUnusable
from holdstill.held.journal import Held, Journal
from holdstill.model.choices import StaticMethod
from holdstill.model.volume import Mode, VolumeFacts
from holdstill.pipeline import away
from holdstill.pipeline.finding import find
from holdstill.plugins.registry import Plugins
from holdstill.spi.holds import Hold, Holds
from holdstill.spi.machine import Machine
from holdstill.spi.reader import Reader
from holdstill.spi.runner import Runner
from holdstill.spi.still import HoldRequest, Still
from holdstill.spi.volume import Volume
from holdstill.spi.writer import Writer

#: what a line of the journal says from the first write on until the volume may be mounted again
_UNPROVED: Final = "unproved"


@attrs.define
class Unmounted:
    """A volume whose mounts are gone, and how they come back."""

    places: tuple[str, ...]
    """Where it was mounted."""
    because: str = ""
    """Why nobody can mount it again, if nobody can."""
    _still: Still | None = None
    _lines: list[Hold] = attrs.field(factory=list)
    _unproved: bool = False

    def begin(self) -> None:
        """From here on it is written to, and what it holds is not known to be whole before ``put_back``: who finds the
        line of a killed run leaves it unmounted.
        """
        self._say(unproved=True)

    def forget(self) -> None:
        """Cross it out of the journal: what is killed from here on leaves it unmounted."""
        for line in self._lines:
            line.drop()

    def put_back(self) -> None:
        """Mount it again, as it was: it was not written to, or holds what it should. Raises ``LeftHeld``."""
        if self._still is not None:
            if self._unproved:
                self._say(unproved=False)
            self._still.release()

    def _say(self, *, unproved: bool) -> None:
        for line in self._lines:
            line.update(**{_UNPROVED: "yes" if unproved else "no"})
        self._unproved = unproved


def is_unproved(held: Held) -> bool:
    """Was it being written to, so that nobody may mount it again unasked?"""
    return held.data.get(_UNPROVED) == "yes"


def unmount(plugins: Plugins, target: Volume, journal: Journal, local: Runner) -> Unmounted:
    """By whoever holds volumes by unmounting them, so that it is in the journal and can be put back exactly; else by
    the platform. Raises ``VolumeBusy``.
    """
    places = tuple(mount.path for mount in target.facts.mounts)
    there = target.machine
    noted = _NotedHolds(away.holds(there, journal))
    asked = HoldRequest(
        run=journal.run,
        holds=noted,
        mode=Mode.STATIC,
        static_method=StaticMethod.UNMOUNT,
        runner=away.programs(there, journal.run, local),
        find=partial(find, plugins) if there is None else partial(away.volume_on, plugins, there),
    )
    unread = _Unread(target.facts, target.machine, target)
    try:
        still = plugins.snapshot(unread, asked)
    except (NoProvider, VolumeUnusable) as refusal:
        target.unmount()
        return Unmounted(places, refusal.message)
    finally:
        for reader in unread.lent:
            reader.close()
    try:
        now = find(plugins, away.name_of(target))
    except BaseException:
        still.release()
        raise
    if now.facts.mounts:  # what is read-only may be held as it is
        still.release()
        now.unmount()
        return Unmounted(places, "it was mounted read-only")
    return Unmounted(places, "", still, noted.lines)


@attrs.define
class _NotedHolds(Holds):
    """A journal, and the lines that were written to it."""

    journal: Holds
    lines: list[Hold] = attrs.field(factory=list)

    def hold(self, kind: str, data: Mapping[str, str], *, by_hand: str, version: int = 1) -> Hold:
        line = self.journal.hold(kind, data, by_hand=by_hand, version=version)
        self.lines.append(line)
        return line


@attrs.frozen
class _Unread(Volume):
    """The same volume, for who only unmounts it: a reader of it alone would keep the writer out."""

    facts: VolumeFacts
    machine: Machine | None
    volume: Volume
    lent: list[Reader] = attrs.field(factory=list)

    def open_reader(self, *, exclusive: bool) -> Reader:
        self.lent.append(self.volume.open_reader(exclusive=False))
        return self.lent[-1]

    def open_writer(self) -> Writer:
        return self.volume.open_writer()

    def carries(self, path: str) -> bool:
        return self.volume.carries(path)

    def users(self) -> tuple[str, ...]:
        return self.volume.users()
