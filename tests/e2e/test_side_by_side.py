"""Several jobs at once, and jobs that are cancelled: nobody is in the other's way, and nothing stays held."""

import itertools
import threading

import pytest

from holdstill import BackupRequest, Job, Progress, RestoreRequest, StageStarted
from holdstill.errors import Cancelled, VolumeBusy
from holdstill_testing import volumes
from holdstill_testing.conversations import Agreeing, Interrupting
from holdstill_testing.torture import dice
from holdstill_testing.volumes import MIB, attached, digest


def test_backups_at_once_into_one_repository_do_not_disturb_each_other(bench, volume, tmp_path):
    others = [volumes.noise(tmp_path / f"noise{number}", 20 * MIB, dice(f"noise{number}")) for number in range(3)]
    twin = tmp_path / "twin"
    twin.write_bytes(volume.read_bytes())
    sources = [volume, twin, *others]
    due = {str(source): bench.due(source) for source in sources}
    jobs = [Job(bench.engine.backup, bench.url, BackupRequest(str(source))).start() for source in sources]
    results = [job.result(120) for job in jobs]
    assert len(bench.engine.images(bench.url)) == len(sources)
    for number, (source, result) in enumerate(zip(sources, results, strict=True)):
        bench.restore(result.image, tmp_path / f"restored{number}")
        assert digest(tmp_path / f"restored{number}") == due[str(source)]
    assert bench.findings() == ()
    assert bench.nothing_is_held()


def test_a_restore_while_a_backup_runs(bench, volume, tmp_path):
    first = bench.back_up(volume).image
    other = volumes.noise(tmp_path / "noise", 40 * MIB, dice("while"))
    job = Job(bench.engine.backup, bench.url, BackupRequest(str(other))).start()
    bench.restore(first, tmp_path / "restored")
    assert digest(tmp_path / "restored") == bench.due(volume)
    bench.restore(job.result(120).image, tmp_path / "other")
    assert digest(tmp_path / "other") == digest(other)


@pytest.mark.root
def test_two_restores_to_one_device_are_one_too_many(bench, volume, tmp_path):
    image = bench.back_up(volume).image
    begun, go_on = threading.Event(), threading.Event()

    class Slow(Agreeing):
        def tell(self, event):
            if isinstance(event, Progress):
                begun.set()
                go_on.wait(60)

    with attached(volumes.sparse(tmp_path / "target", 64 * MIB)) as device:
        request = RestoreRequest(image, to_volume=device)
        first = threading.Thread(target=bench.engine.restore, args=(bench.url, request, Slow()))
        first.start()
        assert begun.wait(60)
        try:
            with pytest.raises(VolumeBusy):
                bench.restore(image, device)
        finally:
            go_on.set()
            first.join()
        assert digest(device) == bench.due(volume)


@pytest.fixture
def large(tmp_path):
    return volumes.noise(tmp_path / "large", 160 * MIB, dice("large"))


def after(count):
    """Due at the ``count``-th sign of progress."""
    seen = itertools.count(1)
    return lambda event: isinstance(event, Progress) and next(seen) >= count


@pytest.mark.parametrize("when", [1, 2])
def test_a_cancelled_backup_leaves_nothing_but_what_the_next_one_uses(bench, large, when):
    with pytest.raises(Cancelled):
        bench.engine.backup(bench.url, BackupRequest(str(large)), Interrupting(after(when)))
    assert bench.engine.images(bench.url) == []
    assert bench.nothing_is_held()
    left = sum(bench.packs().values())
    result = bench.back_up(large)
    assert result.sizes.stored_size + left < large.stat().st_size + MIB, "all that was left is used"
    assert bench.findings() == ()


@pytest.mark.parametrize("stage", ["write", "prove"])
def test_a_cancelled_restore_is_no_volume_and_can_be_done_again(bench, volume, tmp_path, stage):
    image = bench.back_up(volume).image
    target = volumes.ext4(tmp_path / "target", 64 * MIB)
    talk = Interrupting(lambda event: isinstance(event, StageStarted) and event.stage == stage)
    with pytest.raises(Cancelled):
        bench.engine.restore(bench.url, RestoreRequest(image, to_volume=str(target)), talk)
    if stage == "write":
        assert volumes.recognised(target) == "", "nobody takes the half of a volume for a whole one"
    assert bench.nothing_is_held()
    bench.restore(image, target)
    assert digest(target) == bench.due(volume)


@pytest.mark.root
def test_what_was_cancelled_lets_go_of_the_device_at_once(bench, volume):
    with attached(volume) as device:
        with pytest.raises(Cancelled):
            bench.engine.backup(bench.url, BackupRequest(device), Interrupting(lambda _: True))
        assert bench.back_up(device).image, "nobody holds it any more"


def test_a_job_that_is_cancelled_ends_soon(bench, large):
    job = Job(bench.engine.backup, bench.url, BackupRequest(str(large))).start()
    next(event for event in job.events() if isinstance(event, Progress))
    job.cancel()
    with pytest.raises(Cancelled):
        job.result(timeout=10)  # a second on an idle machine
    assert bench.nothing_is_held()
