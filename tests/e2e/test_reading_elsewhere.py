"""``verify --executor``: a real scheduler and three worker processes read a repository on a real S3 server."""

import pickle
import threading

import attrs
import pytest

from holdstill import BackupRequest, Engine, VerifyRequest
from holdstill.errors import Cancelled, RepositoryMissing, WorkersLost
from holdstill.model.events import Progress
from holdstill.pipeline.elsewhere import PackCheck, Spot
from holdstill.repository.config import Config
from holdstill.repository.layout import CONFIG
from holdstill.repository.opening import open_repository
from holdstill.spi.passwords import Passwords
from holdstill_testing import volumes
from holdstill_testing.between import PutBetween
from holdstill_testing.conversations import Agreeing
from holdstill_testing.schedulers import dask_cluster
from holdstill_testing.servers import CREDENTIALS
from holdstill_testing.torture import dice
from holdstill_testing.volumes import MIB

SIZE = 16 * MIB


@pytest.fixture(scope="module")
def bucket(rclone_server):
    """The URL of a bucket; where the server is everybody finds in the environment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", rclone_server.endpoint)
        patch.setenv("AWS_RESPONSE_CHECKSUM_VALIDATION", "when_required")
        yield rclone_server.bucket().partition("?")[0]


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    return str(tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="module")
def stored(bucket, tmp_path_factory, state):
    """The URL of a repository on S3 with 16 MiB of noise in packs of a quarter of a MiB."""
    engine = Engine(state=state)
    with engine._plugins.storage_target(bucket) as target:
        config = Config.fresh(single_writer=True, chunk_size=64 << 10, digest=None, codec=None)
        target.prepare()
        target.put(CONFIG, attrs.evolve(config, pack_size=MIB // 4).sealed())
    noise = volumes.noise(tmp_path_factory.mktemp("noise") / "noise", SIZE, dice("elsewhere"))
    engine.backup(bucket, BackupRequest(str(noise)), Agreeing())
    return bucket


class Counted:
    """A target that counts whose packs are read here."""

    def __init__(self, inner):
        self._inner = inner
        self.read = []

    def between(self, target):
        get = target.get

        def counted(key):
            if key.startswith("packs/"):
                self.read.append(key)
            return get(key)

        target.get = counted
        return target


@pytest.fixture
def here(state):
    """An engine, and the packs that were read by its own process."""
    counted = Counted(None)
    return Engine(PutBetween(target=counted.between), state=state), counted.read


def verify(engine, url, cluster=None, talk=None, **more):
    request = VerifyRequest(read_data=True, executor=cluster and cluster.url, **more)
    return engine.verify(url, request, talk or Agreeing())


class AtFirstResult(Agreeing):
    """Does something once, when the first packs were read and most were not."""

    def __init__(self, do):
        self.do = do
        self.wanted = True

    def tell(self, event):
        if isinstance(event, Progress) and event.stage == "scrub" and self.wanted:
            assert event.done < event.total / 2
            self.wanted = False
            self.do()


def test_workers_read_what_threads_would(here, stored, cluster):
    engine, read = here
    elsewhere = verify(engine, stored, cluster)
    assert read == []
    alone = verify(engine, stored)
    assert len(read) == elsewhere.packs > 50
    assert (elsewhere.findings, elsewhere.read_size) == ((), alone.read_size)
    assert elsewhere.read_size > SIZE


def test_a_worker_that_is_killed_half_way_loses_nothing(here, stored, cluster):
    engine, read = here
    victim = cluster.workers[0]
    talk = AtFirstResult(victim.kill)
    result = verify(engine, stored, cluster, talk)
    assert not talk.wanted
    assert victim.wait() != 0
    assert (result.findings, read) == ((), [])
    assert result.read_size == verify(engine, stored).read_size
    cluster.work(1)


def test_damage_is_found_and_looked_at_again_here(here, stored, cluster):
    engine, read = here
    with engine._plugins.storage_target(stored) as target:
        packs = sorted(each.key for each in target.list("packs/"))
        key = packs[len(packs) // 2]
        whole = target.get(key)
        read.clear()
        target.put(key, [whole[:5000], bytes([whole[5000] ^ 1]), whole[5001:]])
        try:
            result = verify(engine, stored, cluster)
        finally:
            target.put(key, [whole])
    assert {finding.key for finding in result.findings} >= {key}
    assert set(read) == {key}, "a sick worker condemns no pack"
    assert len(result.hurt_images) == 1


def test_no_secret_is_in_a_task(here, stored, cluster):
    engine, _ = here
    with engine._plugins.storage_target(stored) as target:
        repository = open_repository(target)
        task = pickle.dumps(PackCheck(Spot.of(repository)))
    assert repository.config.key not in task
    assert repository.config.key.hex().encode() not in task
    assert CREDENTIALS["AWS_SECRET_ACCESS_KEY"].encode() not in task


def test_workers_of_a_sealed_repository_find_the_password_themselves(here, cluster, state, tmp_path):
    engine, read = here
    url = str(tmp_path / "sealed")
    Engine(state=state).init(url, password=b"only for tests")

    class Given(Passwords):
        def is_given(self, url):
            return True

        def password(self, url):
            return b"only for tests"

    engine.passwords = Given()
    engine.backup(url, BackupRequest(str(volumes.noise(tmp_path / "noise", MIB, dice("sealed")))), Agreeing())
    assert verify(engine, url, cluster).findings == ()
    assert read == []


def test_a_cancel_ends_it(here, stored, cluster):
    engine, _ = here
    ended = threading.Event()
    talk = AtFirstResult(ended.set)
    talk.cancelled = ended.is_set
    with pytest.raises(Cancelled):
        verify(engine, stored, cluster, talk)


def test_workers_that_see_another_repository_are_refused(stored, cluster, state):
    engine = Engine(state=state)
    with engine._plugins.storage_target(stored) as target, engine._plugins.workforce(cluster.url) as workers:
        task = PackCheck(Spot(target.url, "0" * 32))
        with pytest.raises(WorkersLost, match="another repository"):
            workers.executor.submit(task, []).result()
        with pytest.raises(RepositoryMissing) as failed:
            workers.executor.submit(PackCheck(Spot(f"{stored}/nothing", "0" * 32)), []).result()
        assert failed.value.next_step, "all that it said came along"


def test_a_scheduler_that_goes_is_told(stored, state, tmp_path):
    with dask_cluster(tmp_path, workers=1) as other:
        talk = AtFirstResult(other.scheduler.kill)
        with pytest.raises(WorkersLost):
            verify(Engine(state=state), stored, other, talk)
