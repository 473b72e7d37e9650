"""What workers say is not believed: of packs, of names, of what is stored."""

from concurrent.futures import ThreadPoolExecutor

import attrs
import pytest

from holdstill.errors import WorkersLost
from holdstill.model.requests import CopyRequest
from holdstill.pipeline.transfer import Transfer
from holdstill.repository.carrying import Carried, Carriers, store
from holdstill.repository.crews import Crew
from holdstill.repository.opening import create
from holdstill.repository.uploads import Uploads
from holdstill.spi.conversation import Conversation
from holdstill_testing.fakes.memory_target import MemoryTarget

CHUNK = 65536


@pytest.fixture
def copied(repository, keeper):
    """Copies an image, by workers of which each answer goes through ``lie``; the copy, and the data."""
    data = keeper.data(40, seed=3)
    keeper.backup(repository, data)
    target = create(MemoryTarget(), chunk_size=CHUNK)

    def task(number, here, lie):
        # As one elsewhere does it: what it knows to be stored is what it was told, here nothing.
        eager = attrs.evolve(here, known=lambda kind, ids: [False] * len(ids))

        def carry(load):
            carried = eager.carry(load)
            uploads = Uploads(target.target, exclusive=True)
            packs = store(uploads, target.digests, number, carried.fresh, 1 << 20)
            uploads.close()
            return lie(attrs.evolve(carried, fresh=(), packs=packs))

        return carry

    def run(lie=lambda carried: carried):
        with ThreadPoolExecutor(2) as pool:
            crew = Crew(pool, 3, "elsewhere://")
            carriers = Carriers(crew, 4 * CHUNK, lambda number, here: task(number, here, lie))
            transfer = Transfer(repository, target, Conversation(), 1, elsewhere=carriers)
            [done] = transfer.run(CopyRequest(to_url="")).copies
        assert keeper.verify(target).findings == ()
        assert keeper.restore(target, target.find(done.copy)) == data
        return done

    return run


def test_a_worker_that_tells_the_truth(copied):
    assert copied().new_chunks == 28, "two thirds of 40, and the last one"


def other_number(carried):
    return attrs.evolve(carried, packs=tuple((key.replace("/0", "/9", 1), rows) for key, rows in carried.packs))


def no_such_pack(carried):
    return attrs.evolve(carried, packs=tuple((key[:-4] + "0000", rows) for key, rows in carried.packs))


def fewer_rows(carried):
    return attrs.evolve(carried, packs=tuple((key, rows[1:]) for key, rows in carried.packs))


def other_rows(carried):
    return attrs.evolve(carried, packs=tuple((key, rows[::-1].copy()) for key, rows in carried.packs))


def silence(carried):
    return Carried()


def other_names(carried):
    return attrs.evolve(carried, names=tuple((there, here) for here, there in carried.names))


@pytest.mark.parametrize("lie", [other_number, no_such_pack, fewer_rows, other_rows, silence, other_names])
def test_a_lie_ends_it(copied, lie):
    with pytest.raises(WorkersLost):
        copied(lie)
    assert copied().new_chunks >= 0, "and hurts nobody"


def test_what_is_said_to_be_stored_and_is_not_is_stored_here(copied):
    assert copied(lambda carried: attrs.evolve(carried, packs=())).new_chunks == 28
