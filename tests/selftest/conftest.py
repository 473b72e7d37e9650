"""Runs a suite over something, and says which of its tests failed."""

from collections.abc import Callable

import attrs
import pytest

# Imported here once: pytester forgets what a run inside it imports, and numpy cannot be imported twice.
import holdstill_testing.suites  # noqa: F401


@attrs.frozen
class Verdict:
    """The names of tests, without their parameters."""

    passed: set[str]
    failed: set[str]
    skipped: set[str]
    text: str


class PlainTracebacks:
    """Python's own tracebacks: pytest's break where CPython 3.11 does not know the line of a frame."""

    def pytest_configure(self, config: pytest.Config) -> None:
        config.option.tbstyle = "native"


@pytest.fixture
def run_suite(pytester: pytest.Pytester) -> Callable[[str], Verdict]:
    """Runs a test file and collects what became of each test."""

    def run(source: str) -> Verdict:
        pytester.makepyfile(source)
        recorded = pytester.inline_run(
            *("-p", "no:cacheprovider", "-p", "no:terminal", "--strict-markers", "-o", "xfail_strict=true"),
            plugins=[PlainTracebacks()],
        )
        assert recorded.ret in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}
        reports = [report for report in recorded.getreports() if isinstance(report, pytest.TestReport)]
        bad = [report for report in recorded.getreports("pytest_collectreport") if report.failed]
        assert not bad, bad[0].longreprtext
        by_outcome = {"passed": set(), "failed": set(), "skipped": set()}
        for report in reports:
            if report.when == "call" or report.outcome != "passed":
                by_outcome[report.outcome].add(report.nodeid.rpartition("::")[2].partition("[")[0])
        passed = by_outcome["passed"] - by_outcome["failed"]
        text = "\n".join(report.longreprtext for report in reports if report.failed)
        return Verdict(passed, by_outcome["failed"], by_outcome["skipped"], text)

    return run
