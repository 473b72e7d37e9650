"""``copy`` and ``prune`` with ``--executor``: three worker processes read and store, on a real S3 server."""

import contextlib
import pickle

import attrs
import pytest

from holdstill import BackupRequest, CopyRequest, Engine, PruneRequest, RestoreRequest, VerifyRequest
from holdstill.errors import PasswordWrong, WorkersLost
from holdstill.pipeline.elsewhere import HERE, THERE, PackCarry, Spot, carriers
from holdstill.repository.carrying import Load
from holdstill.repository.config import Config
from holdstill.repository.layout import CONFIG, BlobKind, split_pack_key
from holdstill.repository.opening import create, open_repository
from holdstill.spi.passwords import Passwords
from holdstill_testing import volumes
from holdstill_testing.between import PutBetween
from holdstill_testing.conversations import Agreeing
from holdstill_testing.sealed import CHEAP
from holdstill_testing.servers import CREDENTIALS
from holdstill_testing.torture import dice
from holdstill_testing.volumes import MIB

CHUNK = 64 << 10
SIZE = 2 * MIB
#: what is read and stored here all the same: pages and maps, footers of packs
LITTLE = MIB // 4


class Watched:
    """Between an engine and its targets: counts what of packs goes through here, and does something once, when the
    first pack of a new writer is looked at, which a worker has stored.
    """

    def __init__(self):
        self.read = self.stored = 0
        self.after = -1
        self.do = None

    def between(self, target):
        get_range, put = target.get_range, target.put_if_absent

        def watched_get(key, offset, length):
            split = split_pack_key(key)
            if self.do is not None and split and split[0] > self.after:
                do, self.do = self.do, None
                do()
            found = get_range(key, offset, length)
            self.read += len(found) if split else 0
            return found

        def watched_put(key, parts):
            self.stored += sum(map(len, parts)) if split_pack_key(key) else 0
            return put(key, parts)

        target.get_range, target.put_if_absent = watched_get, watched_put
        return target


@pytest.fixture
def watched():
    return Watched()


@pytest.fixture
def engine(watched, tmp_path):
    return Engine(PutBetween(target=watched.between), state=str(tmp_path / "state"))


def prepared(url, engine):
    """A repository with a key of its own there, in packs of two chunks."""
    with engine._plugins.storage_target(url) as target:
        config = Config.fresh(single_writer=False, chunk_size=CHUNK, digest=None, codec=None)
        target.prepare()
        target.put(CONFIG, attrs.evolve(config, pack_size=2 * CHUNK, fanout=16).sealed())
    return url


@pytest.fixture
def bucket(moto_server, engine):
    """Makes repositories on S3."""
    return lambda: prepared(moto_server.bucket(), engine)


@pytest.fixture
def folder(tmp_path, engine):
    """Makes repositories in folders, which the workers see too."""
    names = iter(range(10))
    return lambda: prepared(str(tmp_path / f"repository{next(names)}"), engine)


@pytest.fixture
def noise(tmp_path):
    return volumes.noise(tmp_path / "noise", SIZE, dice("carried"))


@contextlib.contextmanager
def opened(engine, url):
    with engine._plugins.storage_target(url) as target:
        yield open_repository(target)


def packs(engine, url):
    with opened(engine, url) as repository:
        return {each.key: each.size for each in repository.target.list("packs/")}


def assert_whole(engine, url, image, due, place):
    """Every byte of the repository is read, and the image put back is what it was made of."""
    assert engine.verify(url, VerifyRequest(read_data=True), Agreeing()).findings == ()
    engine.restore(url, RestoreRequest(image, to_file=str(place)), Agreeing())
    assert place.read_bytes() == due
    place.unlink()


def copy(engine, url, there, cluster, **more):
    [done] = engine.copy(url, CopyRequest(there, executor=cluster and cluster.url, **more), Agreeing()).copies
    return done


# --- copy --------------------------------------------------------------------------------------------


def test_workers_copy_what_threads_would(engine, watched, folder, noise, cluster, tmp_path):
    here, there, beside = folder(), folder(), folder()
    engine.backup(here, BackupRequest(str(noise)), Agreeing())
    watched.read = watched.stored = 0
    elsewhere = copy(engine, here, there, cluster)
    assert watched.read < LITTLE
    assert watched.stored < LITTLE
    alone = copy(engine, here, beside, None)
    assert watched.stored > SIZE
    for name in ("new_chunks", "reused_chunks", "read_size"):
        assert getattr(elsewhere, name) == getattr(alone, name), name
    assert elsewhere.new_chunks == SIZE // CHUNK
    assert_whole(engine, there, elsewhere.copy, noise.read_bytes(), tmp_path / "back")
    assert copy(engine, here, there, cluster).already


def test_what_is_there_is_not_stored_again(engine, folder, noise, cluster, tmp_path):
    """Of an image that was forgotten, of the one before, and of what one image has twice."""
    here, there = folder(), folder()
    data = noise.read_bytes()
    first = engine.backup(here, BackupRequest(str(noise)), Agreeing()).image
    engine.delete(there, copy(engine, here, there, cluster).copy, Agreeing())
    before = packs(engine, there)
    changed = data[: SIZE // 2] + data[:CHUNK] + dice("more").randbytes(CHUNK) + data[:CHUNK]
    noise.write_bytes(changed)
    second = engine.backup(here, BackupRequest(str(noise)), Agreeing()).image
    done = engine.copy(here, CopyRequest(there, executor=cluster.url), Agreeing()).copies
    assert [(each.image, each.new_chunks) for each in done] == [(first, 0), (second, 1)]
    assert sum(packs(engine, there).values()) - sum(before.values()) < CHUNK + LITTLE
    assert_whole(engine, there, done[0].copy, data, tmp_path / "back")
    assert_whole(engine, there, done[1].copy, changed, tmp_path / "back")


def test_a_worker_killed_half_way_through_a_copy(engine, watched, bucket, noise, cluster, tmp_path):
    here, there = bucket(), bucket()
    engine.backup(here, BackupRequest(str(noise)), Agreeing())
    victim = cluster.workers[-1]
    watched.after, watched.do = 0, victim.kill
    done = copy(engine, here, there, cluster)
    assert victim.wait() != 0
    cluster.work(1)
    assert_whole(engine, there, done.copy, noise.read_bytes(), tmp_path / "back")
    # Whatever it may have stored and not told of is garbage, and goes.
    prune(engine, there, None)
    assert SIZE < sum(packs(engine, there).values()) < SIZE + LITTLE
    assert_whole(engine, there, done.copy, noise.read_bytes(), tmp_path / "back")


def test_what_a_worker_stores_after_all_was_over_is_garbage(engine, folder, noise, cluster, tmp_path):
    here, there = folder(), folder()
    image = engine.show(here, engine.backup(here, BackupRequest(str(noise)), Agreeing()).image)
    with opened(engine, here) as source, opened(engine, there) as target:
        late = PackCarry(Spot.of(source), Spot.of(target, THERE), 1, "late")
        assert late(Load(())).packs == (), "it looks at what is there before anything is"
        done = copy(engine, here, there, cluster)
        assert engine.show(there, done.copy).number == late.number
        before = packs(engine, there)
        reader = source.blobs()
        every = [ids for _, _, ids in reader.walk(image.chunks, BlobKind.CHUNK) if ids]
        wanted = [ids[at : at + 32] for ids in every for at in range(0, len(ids), 32)]
        stored = late(Load(tuple(reader.plan(BlobKind.CHUNK, wanted)))).packs
    assert {key for key, _ in stored} == packs(engine, there).keys() - before.keys() != set()
    prune(engine, there, None)
    assert SIZE < sum(packs(engine, there).values()) < SIZE + LITTLE
    assert_whole(engine, there, done.copy, noise.read_bytes(), tmp_path / "back")


def test_a_fence_in_the_middle_costs_another_number(engine, watched, folder, noise, cluster, tmp_path):
    here, there = folder(), folder()
    engine.backup(here, BackupRequest(str(noise)), Agreeing())

    def fence():
        with opened(engine, there) as repository:
            ledger = repository.ledger()
            ledger.read()
            assert repository.void(ledger.begun[max(ledger.begun)].commit, "a test does not wait")

    watched.after, watched.do = 0, fence
    done = copy(engine, here, there, cluster)
    assert watched.do is None
    assert done.new_chunks < SIZE // CHUNK, "what was stored under the first number is used"
    assert_whole(engine, there, done.copy, noise.read_bytes(), tmp_path / "back")


def test_damage_is_looked_at_again_here(engine, watched, folder, noise, cluster, tmp_path):
    """Its other copy, of which the workers do not know, is taken."""
    here, there = folder(), folder()
    engine.backup(here, BackupRequest(str(noise)), Agreeing())
    with opened(engine, here) as repository:
        key = sorted(each.key for each in repository.target.list("packs/") if each.size > CHUNK)[5]
        whole = repository.target.get(key)
        repository.target.put(key, [whole[:100], bytes([whole[100] ^ 1]), whole[101:]])
    failed = copy(engine, here, there, cluster)
    assert key in failed.failed
    engine.verify(here, VerifyRequest(read_data=True), Agreeing())
    engine.backup(here, BackupRequest(str(noise)), Agreeing())  # which heals it
    for done in engine.copy(here, CopyRequest(there, executor=cluster.url), Agreeing()).copies:
        assert_whole(engine, there, done.copy, noise.read_bytes(), tmp_path / "back")


# --- prune -------------------------------------------------------------------------------------------


def half_needed(engine, url, noise):
    """A repository in which every pack is half needed; the image that needs them, and what it is of."""
    data = bytearray(noise.read_bytes())
    first = engine.backup(url, BackupRequest(str(noise)), Agreeing()).image
    for at in range(0, SIZE, 2 * CHUNK):
        data[at : at + CHUNK] = dice(f"half {at}").randbytes(CHUNK)
    noise.write_bytes(data)
    second = engine.backup(url, BackupRequest(str(noise)), Agreeing()).image
    engine.delete(url, first, Agreeing())
    return url, second, bytes(data)


def prune(engine, url, cluster):
    request = PruneRequest(repack_below=1.0, executor=cluster and cluster.url)
    return engine.prune(url, request, Agreeing())


def test_workers_take_packs_apart(engine, watched, folder, noise, cluster, tmp_path):
    url, image, data = half_needed(engine, folder(), noise)
    watched.read = watched.stored = 0
    result = prune(engine, url, cluster)
    assert result.repack_read_size >= SIZE // 2
    assert watched.stored < LITTLE
    assert watched.read < LITTLE
    assert sum(packs(engine, url).values()) < SIZE + LITTLE
    assert_whole(engine, url, image, data, tmp_path / "back")
    assert prune(engine, url, cluster).deleted_packs == 0, "nothing is left to do"


def test_a_worker_killed_half_way_through_a_repack(engine, watched, bucket, noise, cluster, tmp_path):
    url, image, data = half_needed(engine, bucket(), noise)
    victim = cluster.workers[-1]
    watched.after, watched.do = max(split_pack_key(key)[0] for key in packs(engine, url)), victim.kill
    assert prune(engine, url, cluster).repack_read_size >= SIZE // 2
    assert victim.wait() != 0
    cluster.work(1)
    assert_whole(engine, url, image, data, tmp_path / "back")
    prune(engine, url, None)
    assert sum(packs(engine, url).values()) < SIZE + LITTLE
    assert_whole(engine, url, image, data, tmp_path / "back")


def test_a_repack_whose_workers_go_deletes_nothing(engine, folder, noise, cluster, tmp_path, monkeypatch):
    url, image, data = half_needed(engine, folder(), noise)
    before = packs(engine, url)
    with engine._plugins.workforce(cluster.url) as workers:
        monkeypatch.setattr(type(workers), "lost", lambda self: "they went")
        monkeypatch.setattr("holdstill.repository.crews._LOOK_UP", 0.0)
        with pytest.raises(WorkersLost, match="they went"):
            prune(engine, url, cluster)
    assert before.keys() <= packs(engine, url).keys()
    monkeypatch.undo()
    assert prune(engine, url, None).deleted_packs > 0
    assert_whole(engine, url, image, data, tmp_path / "back")


# --- sealed ------------------------------------------------------------------------------------------


class Given(Passwords):
    def __init__(self, passwords):
        self.passwords = passwords

    def is_given(self, url):
        return True

    def password(self, url):
        return self.passwords[url]


def test_sealed_repositories(engine, watched, cluster, tmp_path):
    """Each worker finds both passwords itself; with a wrong one nothing is copied."""
    here, there, other = (str(tmp_path / name) for name in ("here", "there", "other"))
    passwords = {here: b"only for tests", there: b"for tests, too", other: b"of which the workers know nothing"}
    for url, password in passwords.items():
        with engine._plugins.storage_target(url) as target:
            create(target, chunk_size=CHUNK, password=password, cost=CHEAP)
    engine.passwords = Given(passwords)
    noise = volumes.noise(tmp_path / "noise", MIB, dice("sealed"))
    engine.backup(here, BackupRequest(str(noise)), Agreeing())
    watched.stored = 0
    done = copy(engine, here, there, cluster)
    assert watched.stored < LITTLE
    assert_whole(engine, there, done.copy, noise.read_bytes(), tmp_path / "back")
    with pytest.raises(PasswordWrong) as failed:
        copy(engine, here, other, cluster)
    assert failed.value.subject
    assert engine.images(other) == []
    assert engine.recover(Agreeing()) == []


def test_no_secret_is_in_a_task(engine, folder, cluster):
    here, there = folder(), folder()
    with opened(engine, here) as source, opened(engine, there) as target:
        with carriers(engine._plugins, cluster.url, source, target) as crew:
            task = pickle.dumps(crew.task(7, None))
        for repository in (source, target):
            assert repository.config.key not in task
            assert repository.config.key.hex().encode() not in task
    assert CREDENTIALS["AWS_SECRET_ACCESS_KEY"].encode() not in task
    assert HERE.encode() in task, "where the password is, and not what it is"
