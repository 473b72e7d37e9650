"""Images of which only that is read which a still says has changed: as whole as any other, also when it lies."""

from __future__ import annotations

import random

import pytest

from holdstill import BackupRequest, Engine, RestoreRequest
from holdstill.model.blockmap import BlockMap
from holdstill.model.extents import Extents
from holdstill.model.volume import Consistency, FilesystemFacts, Mode
from holdstill.plugins.registry import Plugins
from holdstill.spi.still import Still
from holdstill_testing.conversations import Agreeing
from holdstill_testing.fakes.memory_volume import MemoryReader, MemoryVolume
from holdstill_testing.torture import rounds

CHUNK = 64 << 10
SIZE = 40 * CHUNK - 1234
UNIT = 4096


class TellingStill(Still):
    """Tells what changed since the still before; ``world`` decides how truly."""

    mode = Mode.SNAPSHOT
    consistency = Consistency.POINT_IN_TIME

    def __init__(self, world):
        self._world = world
        self._frozen = MemoryVolume(bytes(world.content))

    def open_reader(self):
        return MemoryReader(self._frozen)

    def untrue(self):
        return None

    def mark(self):
        return {"number": str(self._world.number)}

    def changed_since(self, mark):
        if mark != {"number": str(self._world.number - 1)}:
            return "it is another mark"
        return self._world.told

    def keep(self, keeper):
        self._world.kept += 1

    def let_go(self, keeper):
        self._world.let_go += 1

    def release(self):
        pass


class World(Plugins):
    """A volume with content and a block map of the test's choice."""

    def __init__(self):
        super().__init__()
        self.content = bytearray(SIZE)
        self.used = Extents.none()
        self.told = Extents.none()
        self.number = 0
        self.kept = 0
        self.let_go = 0

    def snapshot(self, volume, request):
        return TellingStill(self)

    def recognise(self, reader):
        return FilesystemFacts("any", block_size=UNIT)

    def enumerate_used_blocks(self, reader, facts):
        return BlockMap(UNIT, iter([self.used]))

    def write(self, chance):
        """Somewhere; returns where."""
        at = chance.randrange(SIZE - 1)
        length = min(chance.randrange(1, 3 * CHUNK), SIZE - at)
        self.content[at : at + length] = chance.choice((chance.randbytes(length), bytes(length)))
        return Extents.of((at, length))

    def due(self):
        expected = bytearray(SIZE)
        for offset, length in self.used:
            expected[offset : offset + length] = self.content[offset : offset + length]
        return bytes(expected)


@pytest.fixture
def world():
    return World()


@pytest.fixture
def backup(world, tmp_path):
    volume = tmp_path / "volume"
    volume.write_bytes(bytes(SIZE))
    (tmp_path / "options.toml").write_text("")
    engine = Engine(plugins=world, state=str(tmp_path / "state"), options=str(tmp_path / "options.toml"))
    url = str(tmp_path / "repo")
    engine.init(url, chunk_size=CHUNK)

    def back_up(**more):
        request = BackupRequest(str(volume), mode=Mode.SNAPSHOT, gap_size=1, **{"changed_blocks": True} | more)
        result = engine.backup(url, request, talk)
        again = tmp_path / "again"
        again.unlink(missing_ok=True)
        engine.restore(url, RestoreRequest(result.image, to_file=str(again)), Agreeing())
        assert again.read_bytes() == world.due()
        return result

    talk = back_up.talk = Agreeing()
    return back_up


def random_map(chance):
    runs = [(chance.randrange(SIZE // UNIT) * UNIT, chance.randrange(1, 60) * UNIT) for _ in range(chance.randrange(9))]
    return Extents.of((0, UNIT), *runs).clip(0, SIZE)


def test_whatever_changes_in_content_and_map(world, backup):
    chance = random.Random(3)
    for number in range(max(10, rounds(200))):
        world.number = number
        world.told = Extents.none()
        for _ in range(chance.randrange(3)):
            world.told = world.told.union(world.write(chance))
        if chance.randrange(2):
            world.used = random_map(chance)
        elif not number:
            world.used = Extents.whole(SIZE)

        result = backup()

        first = "everything was read: no snapshot of an earlier image was kept"
        assert result.notes[0].startswith(first if number == 0 else "read only what changed"), result.notes
    assert world.kept == number + 1


def test_only_what_changed_is_read(world, backup):
    world.used = Extents.whole(SIZE)
    world.content[:] = random.Random(1).randbytes(SIZE)
    backup()
    world.number = 1
    world.content[5 * CHUNK] ^= 1
    world.told = Extents.of((5 * CHUNK, 1))

    assert backup().sizes.read_size == CHUNK


def test_a_lie_is_found_out(world, backup):
    """A volume of fewer chunks than are sampled: each one is."""
    world.used = Extents.whole(SIZE)
    world.content[:] = random.Random(1).randbytes(SIZE)
    backup()
    world.number = 1
    world.content[5 * CHUNK] ^= 1
    world.told = Extents.of((9 * CHUNK, 1))

    result = backup()

    assert "1 chunks that were said to be as in image" in result.notes[0]
    assert [event.id for event in backup.talk.told if event.name == "warning"] == ["changes.false"]


def test_another_mark_is_not_used(world, backup):
    world.used = Extents.whole(SIZE)
    backup()
    world.number = 5

    assert backup().notes == ("everything was read: it is another mark",)


def test_without_the_wish_nothing_is_kept(world, backup):
    world.used = Extents.whole(SIZE)

    assert backup(changed_blocks=False).notes == ()
    assert (world.kept, world.let_go) == (0, 0)
    backup()
    backup(changed_blocks=False)
    assert (world.kept, world.let_go) == (1, 1)
