"""A host with a state: what is mounted where and how, who uses it, what is locked; and commands that fail or hang."""

from __future__ import annotations

import abc
import enum
from collections.abc import Callable, Sequence

import attrs

from holdstill.spi.runner import Ran
from holdstill_testing.fakes.faulty_calls import Killed
from holdstill_testing.unix.texts import Text

#: where a file system notes that it was mounted for writing, and where an application of ours writes; bytes
STAMP, WRITTEN = 32 << 10, 192 << 10


class Fault(enum.StrEnum):
    """What may become of a command."""

    FAILS = "fails"
    """It does nothing and says so."""
    LIES = "lies"
    """It does what it should, and says that it failed."""
    HANGS = "hangs"
    """A question is ended without an answer. A change is waited for, and done in the end."""
    BABBLES = "babbles"
    """It does what it should, and prints what nobody understands."""


class Death(enum.StrEnum):
    """When the run is killed."""

    BEFORE = "before"
    """Before the command is started."""
    AFTER = "after"
    """And the command is done all the same."""


@attrs.define
class Mounted:
    """A file system in its place. ``options`` as the mount table has them, ``rw`` or ``ro`` among them."""

    device: str
    place: str
    kind: str
    options: str = "rw"
    since: int = 1_500_297_720
    """Seconds of the epoch."""

    @property
    def read_only(self) -> bool:
        """Can nobody write to it?"""
        return "ro" in self.options.split(",")

    @property
    def fields(self) -> dict[str, str]:
        """What every mount table has of it."""
        return {"device": self.device, "place": self.place, "kind": self.kind, "options": self.options}

    def with_option(self, option: str) -> Mounted:
        """The same, ``ro`` or ``rw``."""
        others = [each for each in self.options.split(",") if each and each not in ("ro", "rw")]
        return attrs.evolve(self, options=",".join([option, *others]))


@attrs.define
class Disk:
    """A block device with a raw one beside it. ``kind``: what it is for, as its manager says."""

    raw: str
    content: bytearray
    kind: str = ""


@attrs.define
class Snapshot:
    """What keeps a file system as it was. ``left``: so many changes fit, then it is gone."""

    number: int
    backing: str
    content: bytearray
    limit: int
    left: int


class System(abc.ABC):
    """The commands of one operating system."""

    name: str
    texts: dict[str, Text]
    """What they print, by a name of ours."""

    @abc.abstractmethod
    def act(self, host: Host, argv: Sequence[str]) -> Answer:
        """Do what the command does to the host. Raises ``Refusal``, and KeyError for a command that there is not."""


@attrs.frozen
class Answer:
    """How a command ends."""

    out: str = ""
    err: str = ""
    code: int = 0


class Refusal(Exception):
    """A command that did nothing, with what it printed on standard error."""

    def __init__(self, text: Text, **fields: object) -> None:
        super().__init__(text.say(**fields))
        self.code = text.code


@attrs.define
class Host:
    """One host. ``table`` is what it mounts by name; ``users`` are process ids by place or device."""

    system: System
    table: list[Mounted] = attrs.field(factory=list)
    mounted: list[Mounted] = attrs.field(factory=list)
    users: dict[str, set[int]] = attrs.field(factory=dict)
    locked: dict[str, int] = attrs.field(factory=dict)
    """Places whose writers wait, and until when on ``clock``; 0: until somebody unlocks them."""
    comments: dict[str, str] = attrs.field(factory=dict)
    """What a lock says of itself, by place."""
    clock: int = 1
    faults: dict[int, Fault | Death] = attrs.field(factory=dict)
    """What becomes of the n-th command, counted from 1."""
    calls: list[tuple[str, ...]] = attrs.field(factory=list)
    disks: dict[str, Disk] = attrs.field(factory=dict)
    """By block device."""
    snapshots: dict[str, Snapshot] = attrs.field(factory=dict)
    """By place."""
    files: set[str] = attrs.field(factory=set)
    """What commands made and nobody removed."""
    dead: bool = False
    """Was the run killed? Then nothing that it does has an effect any more."""

    def run(self, argv: Sequence[str], *, change: bool) -> Ran:
        """Run one command. Raises ``Killed`` where the run is killed."""
        if self.dead:
            raise Killed
        words = tuple(argv)
        self.calls.append(words)
        fault = self.faults.get(len(self.calls))
        if fault is Death.BEFORE:
            self._die()
        if fault is Fault.HANGS and not change:
            return Ran(words, -9, "", "", timed_out=True)
        if fault is Fault.FAILS:
            return Ran(words, 1, "", f"{words[0]}: it failed\n")
        try:
            answer = self.system.act(self, words)
        except KeyError:
            return Ran(words, 127, "", f"{words[0]}: not found\n")
        except Refusal as refusal:
            return Ran(words, refusal.code, "", f"{refusal}\n")
        finally:
            if fault is Death.AFTER:
                self._die()
        if fault is Fault.LIES:
            return Ran(words, 1, answer.out, f"{words[0]}: it failed\n")
        if fault is Fault.BABBLES:
            return Ran(words, 0, "%%% was steht hier? %%%\n", answer.err)
        return Ran(words, answer.code, answer.out, answer.err)

    def _die(self) -> None:
        self.dead = True
        raise Killed

    def pass_time(self, seconds: int) -> None:
        """Later: freezes run out."""
        self.clock += seconds
        self.locked = {place: end for place, end in self.locked.items() if not end or end > self.clock}

    def at(self, name: str) -> Mounted | None:
        """What is mounted at this place, or from this device; the upper of two."""
        return next((each for each in reversed(self.mounted) if name in (each.place, each.device)), None)

    def can_write(self, place: str) -> bool:
        """Would a write by an application succeed now?"""
        found = self.at(place)
        return found is not None and not found.read_only and place not in self.locked

    def live(self) -> None:
        """An application writes wherever it can."""
        for each in self.mounted:
            disk = self.disks.get(each.device)
            if disk is not None and self.can_write(each.place) and len(disk.content) > WRITTEN:
                disk.content[WRITTEN] = (disk.content[WRITTEN] + 1) % 256
                kept = self.snapshots.get(each.place)
                if kept is not None:
                    kept.left -= 1
                    if kept.left < 0:
                        del self.snapshots[each.place]

    def below(self, place: str) -> list[Mounted]:
        """What is mounted below a place."""
        return [each for each in self.mounted if each.place.startswith(f"{place.rstrip('/')}/")]

    def mount(self, what: Mounted, already: Callable[[], Refusal]) -> None:
        """Put it in its place. Raises what ``already`` makes if its device is mounted, or something at its place."""
        if self.at(what.device) or self.at(what.place):
            raise already()
        self.mounted.append(what)
        disk = self.disks.get(what.device)
        if disk is not None and not what.read_only and len(disk.content) > STAMP:
            disk.content[STAMP] = (disk.content[STAMP] + 1) % 256

    def unmount(self, name: str, busy: Callable[[Mounted], Refusal], absent: Callable[[], Refusal]) -> None:
        """Take it away. Raises what ``busy`` and ``absent`` make."""
        found = self.at(name)
        if found is None:
            raise absent()
        if self.users.get(found.place) or self.below(found.place) or found.place in self.snapshots:
            raise busy(found)
        self.locked.pop(found.place, None)
        self.mounted.remove(found)
