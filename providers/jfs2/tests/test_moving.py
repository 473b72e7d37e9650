"""A concurrent writer at every step of a read: whatever the order, what was read is what was there, or is known to be
lost.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdstill.errors import ReadFault
from holdstill_jfs2.moved import extentinfo, kernel
from holdstill_jfs2.moved.reader import MovedReader
from holdstill_jfs2.snapshots.holding import hold
from holdstill_testing.torture import rounds
from holdstill_testing.unix.jfs2_world import World

WRITES = st.lists(st.tuples(st.integers(0, 23), st.binary(min_size=2, max_size=2)), max_size=40)
#: how many steps of the writer come before each step of the reader; the last is repeated
PACE = st.lists(st.integers(0, 7), min_size=1, max_size=60)
RANGES = st.lists(st.tuples(st.integers(0, 24 * 4096 - 1), st.integers(1, 5 * 4096)), min_size=1, max_size=8)


@pytest.fixture(scope="module")
def asked():
    """Puts the kernel of a world in the place of the real one, for one of many examples."""

    def put(patch, world):
        for name in ("vfs_of", "inode_of", "device_of", "extentinfo"):
            patch.setattr(kernel, name, getattr(world, name))

    return put


class Writer:
    """Goes on at every tick, as many steps as its pace says."""

    def __init__(self, world, writes, pace):
        self.world, self.pace, self.ticks = world, pace, 0
        self.steps = (step for number, data in writes for step in world.fs.writing(number, data * 2048))

    def __call__(self):
        count = self.pace[min(self.ticks, len(self.pace) - 1)]
        self.ticks += 1
        for _ in range(count):
            next(self.steps, None)


def read(world, still, ranges):
    """All that could be read, as pairs of where and what."""
    found = []
    with still.open_reader() as reader:
        for offset, length in [*ranges, (0, reader.size)]:
            end = min(offset + length, reader.size)
            try:
                found.append((offset, reader.read(offset, end - offset)))
            except ReadFault:
                continue
    return found


def wrong(found, truth, was, size):
    """Where what was read is not what was there, in blocks that were allocated."""
    for offset, data in found:
        for at, byte in enumerate(data, offset):
            if byte != truth[at] and at // size in was:
                return at
    return None


@settings(max_examples=rounds(600), deadline=None)
@given(
    writes=WRITES,
    pace=PACE,
    ranges=RANGES,
    internal=st.booleans(),
    room=st.integers(4, 30),
    newer=st.integers(-1, 30),
    batch=st.sampled_from([2, 3, 4096]),
)
def test_what_is_read_is_what_was_there_or_known_to_be_lost(asked, writes, pace, ranges, internal, room, newer, batch):
    """``room``: of the store, so that it may run full. ``newer``: when somebody makes a snapshot of it too. ``batch``:
    how much of the list of what has moved is told at once.
    """
    world = World(internal=internal)
    truth, was = bytes(world.fs.volume.content), frozenset(world.fs.allocated)
    with pytest.MonkeyPatch.context() as patch:
        asked(patch, world)
        patch.setattr(extentinfo, "BATCH", batch)
        chosen = {"jfs2.extents": "fscntl", "jfs2.snapshot": "internal" if internal else "external"}
        still = hold(world.volume(), world.request(settings=chosen))
        world.fs.snapshots[0].room = room if not internal else world.fs.blocks
        writer = Writer(world, writes, pace)

        def tick():
            if writer.ticks == newer and not internal:
                world.foreign("fslv07", world.fs)
            writer()

        world.tick = tick
        found = read(world, still, ranges)
        lost = still.untrue()
        world.tick = lambda: None
        still.release()

    assert lost or wrong(found, truth, was, world.fs.block) is None


@pytest.mark.parametrize("before", range(5))
def test_a_block_that_moves_between_the_read_and_the_question(made, before):
    """The writer stands still after so many of its steps, then the block is read, and then the writer goes on."""
    world = made()
    truth = bytes(world.fs.volume.content)
    still = hold(world.volume(), world.request())
    steps = world.fs.writing(4, b"\x5a" * 4096)
    for _ in range(before):
        next(steps)
    ask, world.extentinfo = world.extentinfo, None

    def first_the_writer(*given):
        list(steps)
        ask(*given)

    kernel.extentinfo = first_the_writer
    with still.open_reader() as reader:
        assert reader.read(4 * 4096, 4096) == truth[4 * 4096 : 5 * 4096]
    assert world.fs.volume.content[4 * 4096] == 0x5A
    still.release()


class TestPlantedBugs:
    """What the model must be able to find."""

    def spoiled(self, made, then):
        world = made()
        truth, was = bytes(world.fs.volume.content), frozenset(world.fs.allocated)
        still = hold(world.volume(), world.request())
        world.tick = Writer(world, [(number, b"zz") for number in (4, 6, 8)], [1])
        then(world)
        found = read(world, still, [(0, 4096 * 12)])
        lost = still.untrue()
        world.tick = lambda: None
        still.release()
        return not lost and wrong(found, truth, was, 4096) is not None

    def test_nothing_planted(self, made):
        assert not self.spoiled(made, lambda world: None)

    def test_asking_before_reading(self, made, monkeypatch):
        def readinto(self, offset, buffer):
            room = memoryview(buffer)
            moves = list(self._moves.within(offset, offset + len(room)))
            self._origin.readinto(offset, room)
            for move in moves:
                start, end = max(move.offset, offset), min(move.offset + move.length, offset + len(room))
                self._store.readinto(move.place + start - move.offset, room[start - offset : end - offset])

        monkeypatch.setattr(MovedReader, "readinto", readinto)
        assert self.spoiled(made, lambda world: None)

    def test_remembering_what_has_not_moved(self, made, monkeypatch):
        within, answers = extentinfo.KernelMoves.within, {}

        def remembered(self, start, end):
            return answers.setdefault(0, list(within(self, 0, self.size)))

        monkeypatch.setattr(extentinfo.KernelMoves, "within", remembered)
        assert self.spoiled(made, lambda world: None)

    def test_not_asking_in_the_end(self, made, monkeypatch):
        """A store that ran full and was used for something else."""
        from holdstill_jfs2.snapshots.health import Health

        monkeypatch.setattr(Health, "lost", lambda self: None)
        assert self.spoiled(made, lambda world: setattr(world.fs.snapshots[0], "room", 5))


class TestKernel:
    """Answers that cannot be."""

    @pytest.fixture
    def asking(self, made):
        world = made()
        still = hold(world.volume(), world.request())
        real = world.extentinfo

        def answering(change):
            def ask(vfs, command, head, extents):
                real(vfs, command, head, extents)
                if extents:
                    change(head, extents)

            kernel.extentinfo = ask
            with still.open_reader() as reader, pytest.raises(ReadFault, match="cannot be") as fault:
                reader.read(0, reader.size)
            assert "cannot be" in still.untrue()
            return str(fault.value)

        for number in (4, 6):
            world.fs.write(number, bytes(4096))
        yield answering
        kernel.extentinfo = real
        still.release()

    def test_extents_that_go_back(self, asking):
        def change(head, extents):
            extentinfo.EXTENT.pack_into(extents, 0, 0, 0, 9, 1, 0)

        assert "after block 10" in asking(change)

    @pytest.mark.parametrize(
        "extent", [(0, 0, 23, 2, 0), (0, 0, 4, 1, 10**6), (1, 0, 4, 1, 5), (0, 0, 4, 1 << 40, 5), (0, 0, 1 << 63, 1, 5)]
    )
    def test_extents_that_lie_elsewhere_or_were_never_written(self, asking, extent):
        asking(lambda head, extents: extentinfo.EXTENT.pack_into(extents, 0, *extent))

    @pytest.mark.parametrize("count", [-1, 4097, 1 << 30])
    def test_more_than_were_asked_for(self, asking, count):
        import struct

        asking(lambda head, extents: struct.pack_into("=i", head, 4, count))

    def test_an_answer_that_is_not_in_the_buffer(self, asking):
        """Behind the head, perhaps: one comment of the header says so."""

        def change(head, extents):
            extents[:] = b"\xee" * len(extents)

        assert "none of them in the buffer" in asking(change)

    def test_extents_that_moved_and_are_not_told(self, asking):
        def change(head, extents):
            extentinfo.EXTENT.pack_into(extents, 0, 0, 0, 0, 0, 0)

        assert "none of them" in asking(change)


def test_many_extents_are_asked_for_again_and_again(made, monkeypatch):
    monkeypatch.setattr(extentinfo, "BATCH", 3)
    world = made()
    truth, was = bytes(world.fs.volume.content), frozenset(world.fs.allocated)
    still = hold(world.volume(), world.request())
    for number in range(0, 24, 2):
        world.fs.write(number, b"\x77" * 4096)
    assert wrong(read(world, still, [(40000, 9)]), truth, was, 4096) is None
    still.release()


@pytest.mark.parametrize("before", [False, True], ids=["forwards", "backwards too"])
def test_extents_that_grow_together_between_two_parts_of_the_list(made, monkeypatch, before):
    """Block 8 had moved, and in the second part it belongs to an extent that begins in the first, or before that."""
    monkeypatch.setattr(extentinfo, "BATCH", 2)
    world = made()
    still = hold(world.volume(), world.request())
    kept = world.fs.snapshots[0]
    kept.moved.update({0: 10, 4: 16, 8: 20})
    kept.store[20 * 4096 : 21 * 4096] = b"\x42" * 4096
    ask, parts = world.extentinfo, []

    def growing(vfs, command, head, extents):
        ask(vfs, command, head, extents)
        parts.append(len(extents))
        if parts.count(2 * 32) == 1:
            kept.moved.update({5: 17, 6: 18, 7: 19} | ({3: 15} if before else {}))

    monkeypatch.setattr(kernel, "extentinfo", growing)
    with still.open_reader() as reader:
        assert reader.read(8 * 4096, 4096) == b"\x42" * 4096
    kept.moved.clear()
    still.release()


def test_a_list_that_never_fits_together_ends_it(made, monkeypatch):
    monkeypatch.setattr(extentinfo, "BATCH", 2)
    world = made()
    still = hold(world.volume(), world.request())
    kept = world.fs.snapshots[0]
    ask, count = world.extentinfo, []

    def moving(vfs, command, head, extents):
        kept.moved.clear()
        count.append(1)
        kept.moved.update({at + len(count) % 7: at + 4 for at in (0, 8, 16)})
        ask(vfs, command, head, extents)

    monkeypatch.setattr(kernel, "extentinfo", moving)
    with still.open_reader() as reader, pytest.raises(ReadFault, match="another list each time"):
        reader.read(0, reader.size)
    kept.moved.clear()
    assert "another list" in still.untrue()
    still.release()


def test_here_is_no_such_kernel():
    """On another system the real calls say so."""
    from holdstill.errors import VolumeUnusable

    with pytest.raises(VolumeUnusable, match="no mntctl"):
        kernel.vfs_of("/")
    with pytest.raises(VolumeUnusable, match="no fscntl"):
        kernel.extentinfo(1, 15, bytearray(extentinfo.HEAD.size), bytearray())


def test_what_is_mounted_is_found_by_its_chain():
    import struct

    from holdstill.errors import VolumeUnusable

    def row(number, stub):
        texts = stub + b"\0"
        head = struct.pack("=II8xi12xi", 1, 68 + len(texts), number, 0)
        places = struct.pack("=hh", 68, len(texts)) * 8
        return head.ljust(36, b"\0") + places + texts

    data = row(3, b"/") + row(9, b"/data")
    assert list(kernel._mounts(data, 2)) == [(3, "/"), (9, "/data")]
    for broken in (data[:70], data.replace(struct.pack("=I", 70), struct.pack("=I", 7)), data):
        with pytest.raises(VolumeUnusable, match="not understood"):
            list(kernel._mounts(broken, 3))
