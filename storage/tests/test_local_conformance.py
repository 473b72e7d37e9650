"""The local target keeps every obligation, on the file systems at hand."""

import pytest

from holdstill.repository.trial import Outcome, try_target
from holdstill_storage.local import LocalTarget
from holdstill_testing.suites import TargetSuite


class TestLocalTarget(TargetSuite):
    @pytest.fixture
    def target(self, tmp_path):
        with LocalTarget(str(tmp_path / "objects")) as target:
            target.prepare()
            yield target

    @pytest.fixture
    def second(self, target):
        with LocalTarget(target.url) as second:
            yield second


@pytest.mark.root
class TestOnMountedFilesystems(TargetSuite):
    """Real file systems, freshly made, a directory for each test."""

    @pytest.fixture
    def target(self, filesystem, tmp_path):
        with LocalTarget(str(filesystem / tmp_path.name)) as target:
            target.prepare()
            yield target


def test_its_promises_hold_when_they_are_tried(tmp_path):
    with LocalTarget(str(tmp_path / "objects")) as target:
        target.prepare()
        report = try_target(target)
    assert report.kept, report
    assert {trial.name for trial in report.trials if trial.outcome is Outcome.SKIPPED} == {"durability"}
