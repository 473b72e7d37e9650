"""One tiny repository, and everybody who works on it at once: writers, prunes, deletes, crashes and lost replies.

After every call that changed something, every image whose record stands is restored bit for bit: once with true
listings, and once with empty ones. The world is driven by whoever chooses who goes on: hypothesis, or dice.
"""

from __future__ import annotations

import itertools
import secrets
import tempfile
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Final
from unittest.mock import patch

from holdstill.errors import HoldstillError
from holdstill.model.events import Event, Noted
from holdstill.model.image import Image
from holdstill.model.results import ImageCopy
from holdstill.pipeline import workers
from holdstill.repository import commits, packs, pulse, segments, uploads
from holdstill.repository import repository as opened
from holdstill.repository.choosing import Choice
from holdstill.repository.keyring import Unlocked
from holdstill.repository.marking import Marking
from holdstill.repository.prune import Prune
from holdstill.repository.repository import Repository
from holdstill.repository.verify import verify
from holdstill.spi.target import Listed, Target
from holdstill_testing.actors import Actor, InlineExecutor, Outcome
from holdstill_testing.clocks import DAY, Clock
from holdstill_testing.fakes.memory_target import MemoryTarget
from holdstill_testing.tiny import again, back_up, content, read_back, tiny
from holdstill_testing.vault import Vault

LETTERS: Final = "abcdefgh."
LIES: Final = ("true", "true", "true", "old", "empty")
"""What an actor's listings show."""
MOST: Final = 4
"""So many actors live at once."""
HOSTS: Final = ("one", "two", "")
"""Where actors are. Whoever is nowhere remembers nothing of the repository."""
DAYS: Final = (0.1, 4.0, -1.0)
"""So many pass at once; clocks are set back, too."""


class Lost(AssertionError):
    """A committed image does not restore, or is gone."""


class Garbage(AssertionError):
    """Something that nobody needs stays for ever."""


class Blind(MemoryTarget):
    """Shares another's objects, and lists nothing."""

    def __init__(self, other: MemoryTarget) -> None:
        super().__init__()
        self.objects = other.objects

    def list(self, prefix: str) -> Iterator[Listed]:
        """Nothing."""
        return iter(())


class World:
    """Everything that the actors share, and what always holds. Names and keys are drawn in order: a run comes back.

    With a password the repository is sealed, and some hosts may only write.
    """

    def __init__(self, password: bytes | None = None) -> None:
        numbers = itertools.count()

        def drawn(size: int) -> bytes:
            return blake2b(b"%d" % next(numbers), digest_size=size).digest()

        self.clock = Clock()
        self._patches = (
            patch.object(secrets, "token_bytes", drawn),
            patch.object(secrets, "token_hex", lambda size: drawn(size).hex()),
            patch.object(uploads, "ThreadPoolExecutor", InlineExecutor),
            patch.object(workers, "ThreadPoolExecutor", InlineExecutor),
            patch.object(pulse, "time", self.clock),
            patch.object(opened, "time", self.clock),
        )
        for each in self._patches:
            each.start()
        self.target = MemoryTarget()
        self.vault = Vault(password)
        self._made = tiny(self.target, password)
        self.config = self._made.config
        self._writers = Unlocked(self._made.unlocked.ring.for_a_writer(), "") if self._made.unlocked else None
        self._hosts = tempfile.TemporaryDirectory(prefix="holdstill-hosts-")
        self.actors: list[Actor] = []
        self.later: list[Callable[[], object]] = []
        self.past: tuple[Listed, ...] = ()
        self.pruned = 0
        self.given_up = 0
        self.faults = 0
        self._acknowledged: dict[str, str] = {}
        self._may_be_deleted: set[str] = set()
        self._protected: dict[str, str] = {}
        self._checked: dict[str, bytes] = {}

    # --- who begins ----------------------------------------------------------------------------------

    @property
    def living(self) -> list[Actor]:
        """Those who have not ended."""
        return [actor for actor in self.actors if not actor.ended]

    def backup(self, letters: str, lie: str = "true", host: str = "", *, may_read: bool = True) -> Actor:
        """Somebody begins to back up a volume that holds these letters; with a key that may read, if it is sealed."""

        def do(target: Target) -> object:
            repository = self._open(target, host)
            if self._writers and not may_read:
                repository = Repository(target, self.config, self._writers, self._place(host))
            return back_up(repository, letters, host=host or "host")

        return self._begin("backup", do, lie)

    def prune(self, repack_below: float, *, fence: bool, lie: str = "true", host: str = "") -> Actor:
        """Somebody begins to prune."""
        return self._begin(
            "prune", lambda target: prune(self._open(target, host), repack_below, fence=fence, tell=self._told), lie
        )

    def _told(self, event: Event) -> None:
        self.given_up += isinstance(event, Noted) and event.message.startswith("given up")

    def condemn(self, *keys: str) -> Actor:
        """Somebody begins to prune who has chosen these packs, whatever is needed of them."""

        def do(target: Target) -> object:
            work = Prune(self._open(target), unheard, lambda: False, 1.0)
            places = [work.standing.shelf.index.place_of(key) for key in keys]
            return work.run(Choice(tuple(place for place in places if place is not None), (), 0))

        return self._begin("prune", do, "true")

    def retire(self, which: int) -> Actor:
        """Somebody begins to prune who forgets one of the images by its policy."""
        images = self.images()
        image = images[which % len(images)]
        self._may_be_deleted.add(image.id)

        def do(target: Target) -> object:
            work = Prune(self._open(target), unheard, lambda: False, 1.0)
            del work.standing.images[image.number]
            self._open(target).forget(image)
            return work.run(work.choose())

        return self._begin("retire", do, "true")

    def packs(self, number: int) -> list[str]:
        """The packs of this writer."""
        return sorted(key for key in self.target.objects if key.startswith(f"packs/{number:010d}/"))

    def delete(self, which: int) -> Actor | None:
        """Somebody begins to delete one of the images, if there is one."""
        images = self.images()
        if not images:
            return None
        image = images[which % len(images)]
        self._may_be_deleted.add(image.id)
        return self._begin("delete", lambda target: self._open(target).forget(image), "true")

    def protect(self, which: int) -> Actor | None:
        """Somebody begins to protect one of the images, if there is one."""
        images = self.images()
        if not images:
            return None
        image = images[which % len(images)]

        def do(target: Target) -> None:
            self._open(target).marks.protect(image)
            self._protected[image.id] = "protected"

        return self._begin("protect", do, "true")

    def verify(self) -> Actor:
        """Somebody begins to verify. No object is damaged here: whatever it finds is a false alarm, but for a deletion
        that has not come to its end.
        """

        def do(target: Target) -> None:
            repository = self._open(target)
            found = verify(
                repository, None, read_data=self._writers is not None, tell=unheard, cancelled=lambda: False, keep=True
            )
            alarms = [each for each in found.findings if each.key.rpartition("-")[2] not in self._may_be_deleted]
            assert not alarms, alarms

        return self._begin("verify", do, "true")

    def copy_in(self, letters: str, lie: str = "true") -> Actor:
        """Somebody begins to copy an image of a volume that holds these letters, out of another repository."""
        name = self.vault.image(letters)
        return self._begin("copy in", lambda target: self.vault.copy(self.vault.open(), self._open(target), name), lie)

    def copy_out(self, which: int, lie: str = "true") -> Actor | None:
        """Somebody begins to copy one of the images to another repository, if there is one."""
        images = self.images()
        if not images:
            return None
        image = images[which % len(images)]

        def do(target: Target) -> None:
            done = self.vault.copy(self._open(target), self.vault.open(), image.id)
            if done.failed and image.id not in self._may_be_deleted:
                raise Lost(f"image {image.number} could not be copied: {done.failed}")
            self.vault.check()

        return self._begin("copy out", do, lie)

    def _begin(self, name: str, do: Callable[[Target], object], lie: str) -> Actor:
        def listing(prefix: str, fresh: tuple[Listed, ...]) -> Sequence[Listed]:
            if lie == "empty":
                return ()
            return fresh if lie == "true" else tuple(each for each in self.past if each.key.startswith(prefix))

        self.actors.append(Actor(f"{name} {len(self.actors)}", self.target, do, self.later, listing=listing).start())
        return self.actors[-1]

    def _open(self, target: Target, host: str = "") -> Repository:
        return again(self._made, target, self._place(host))

    def _place(self, host: str) -> Path | None:
        return Path(self._hosts.name) / host if host else None

    # --- who goes on ---------------------------------------------------------------------------------

    def step(self, actor: Actor, outcome: Outcome = Outcome.DONE) -> None:
        """The call that this actor stands before comes to this."""
        self.faults += outcome is not Outcome.DONE
        actor.step(outcome)
        if actor.ended:
            if isinstance(actor.result, Image):
                self._acknowledged[actor.result.id] = actor.name
            if isinstance(actor.result, ImageCopy) and actor.result.copy and not actor.result.already:
                self._acknowledged[actor.result.copy] = actor.name
            self.pruned += getattr(actor.result, "deleted_packs", 0)
            if actor.error is not None and not actor.dead and not isinstance(actor.error, HoldstillError):
                raise actor.error
        self._check()

    def steps(self, actor: Actor, count: int) -> None:
        """So many calls, none of which goes wrong."""
        for _ in range(count):
            if not actor.ended:
                self.step(actor)

    def finish(self, actor: Actor) -> None:
        """All its calls, none of which goes wrong."""
        while not actor.ended:
            self.step(actor)

    def until(self, actor: Actor, call: str) -> None:
        """All its calls up to one that begins so; that one is not made."""
        while not actor.before.startswith(call):
            assert not actor.ended, f"{actor.name} never came to {call}"
            self.step(actor)

    def land(self, which: int) -> None:
        """A request whose caller gave it up is carried out after all."""
        if self.later:
            self.later.pop(which % len(self.later))()
            self._check()

    def look(self) -> None:
        """Remember what listings show now: some will see that later on."""
        self.past = tuple(self.target.list(""))

    def a_week_of_prunes(self, host: str, steps: int) -> None:
        """They wait for whoever gives signs of life: everybody makes so many calls from one to the next."""
        for _ in range(3):
            self.clock.pass_by(4 * DAY)
            for actor in self.living:
                self.steps(actor, steps)
            self.finish(self.prune(0.5, fence=False, host=host))

    # --- what always holds ---------------------------------------------------------------------------

    def images(self) -> list[Image]:
        """Whatever stands at a commit key, asked of the objects themselves."""
        digests = self._open(self.target).digests
        keys = sorted(key for key in self.target.objects if key.startswith("images/"))
        records = [commits.state(self.target, digests, key) for key in keys]
        return [record for record in records if isinstance(record, Image)]

    def _check(self) -> None:
        """After a call. Objects that were only added take nothing from older images."""
        state = {key: whole for key, whole in self.target.objects.items() if not key.startswith(("probe/", "ledger/"))}
        if state == self._checked:
            return
        images = {key for key in state if key.startswith("images/")} - self._checked.keys()
        grown = state.items() >= self._checked.items()
        self._checked = state
        if images or not grown:
            self._every_image_restores()

    def _every_image_restores(self) -> None:
        images = self.images()
        there = {image.id for image in images}
        if gone := self._acknowledged.keys() - there - self._may_be_deleted | self._protected.keys() - there:
            raise Lost(f"committed, and deleted by nobody, or protected: {gone}")
        readers = [self._open(target).blobs() for target in (self.target, Blind(self.target))]
        for image, reader in itertools.product(images, readers):
            try:
                same = read_back(reader, image) == content(image.volume.path)
            except HoldstillError as error:
                raise Lost(f"image {image.number} of {image.volume.path}: {error}") from error
            if not same:
                raise Lost(f"image {image.number} restores to something else")

    # --- the end -------------------------------------------------------------------------------------

    def come_to_rest(self) -> None:
        """Everybody ends, what was late arrives, three prunes wait for nobody: then only what is needed is left."""
        for actor in self.living:
            self.finish(actor)
        while self.later:
            self.land(0)
        if self._writers:
            self.finish(self.verify())  # from now on all rely on what was stored by those who may only write
        for _ in range(3):
            prune(self._open(self.target), 1.0, fence=True, tell=unheard)
            self._check()
        self._all_garbage_is_gone()

    def close(self) -> None:
        """End every actor where it stands, and give back what was patched."""
        for actor in self.living:
            while not actor.ended:
                actor.step(Outcome.DEATH)
        for each in self._patches:
            each.stop()
        self._hosts.cleanup()

    def _all_garbage_is_gone(self) -> None:
        repository = self._open(self.target)
        wanted = set()
        for kind, ids in Marking(repository.blobs(), self.config.fanout).needed(self.images()):
            wanted |= {(kind, ids[at : at + 32]) for at in range(0, len(ids), 32)}
        for key, whole in self.target.objects.items():
            if key.startswith("packs/"):
                stored, bad = packs.check_whole(repository.digests, key, whole)
                if bad or {(row["kind"], row["id"].tobytes()) for row in stored} - wanted:
                    raise Garbage(f"{key} holds what nobody needs")
            elif key.startswith("index/"):
                named = list(segments.unseal(repository.digests, key, whole))
                gone = sum(rows.size for pack, rows in named if pack not in self.target.objects)
                if gone * 4 >= sum(rows.size for _, rows in named):
                    raise Garbage(f"{key} names packs that are gone")


def unheard(_: Event) -> None:
    """Nobody listens."""


def prune(repository: Repository, repack_below: float, *, fence: bool, tell: Callable[[Event], None]) -> object:
    """One whole prune."""
    work = Prune(repository, tell, lambda: False, repack_below, fence)
    return work.run(work.choose())
