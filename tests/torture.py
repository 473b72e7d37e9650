"""Every test, the long random ones in full; what came of it is written into docs/explanation/reliability.md.

Run by ``make torture``: the tests of faults beside all others. Paths that are given are run instead, each beside the
others. ``HOLDSTILL_SEED`` chooses other dice than the fixed ones.
"""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

import attrs

from holdstill_testing import torture

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs/explanation/reliability.md"
BEGIN: Final = "<!-- figures: written by `make torture` -->"
END: Final = "<!-- end of figures -->"
#: the only dialect of its report in which a test can say more than that it passed
PYTEST: Final = ("-m", "pytest", "--timeout=7200", "-o", "junit_family=xunit1")
#: what pytest is given, each in a process of its own: one core for the faults
PARTS: Final = ("tests/faults", "--ignore=tests/faults")
OTHERS: Final = "every other test of the project"


@attrs.frozen
class Row:
    """What one test says of itself; a test with several parameters is one row."""

    name: str
    rounds: int = 0
    faults: int = 0
    seconds: float = 0.0
    failed: int = 0
    skipped: int = 0
    peak: int = 0

    def __add__(self, other: Row) -> Row:
        return Row(
            self.name,
            self.rounds + other.rounds,
            self.faults + other.faults,
            self.seconds + other.seconds,
            self.failed + other.failed,
            self.skipped + other.skipped,
            max(self.peak, other.peak),
        )


def main() -> int:
    """Run, write, and exit as pytest did."""
    commit = subprocess.run(("git", "describe", "--always", "--dirty"), cwd=ROOT, capture_output=True, text=True).stdout
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        runs = [Run(part, Path(folder) / f"{number}.xml") for number, part in enumerate(sys.argv[1:] or PARTS)]
        codes = [run.ended() for run in runs]
        rows = rows_of([run.report for run in runs])
    minutes = (time.monotonic() - began) / 60
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n{figures(rows, commit.strip(), minutes)}\n{END}{after}", encoding="utf-8")
    return max(codes)


@attrs.frozen
class Run:
    """A pytest at work."""

    part: str
    report: Path
    _process: subprocess.Popen[bytes] = attrs.field(init=False)

    @_process.default
    def _begun(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, *PYTEST, f"--junitxml={self.report}", self.part]
        return subprocess.Popen(command, cwd=ROOT, env={**os.environ, "HOLDSTILL_TORTURE": "full"})

    def ended(self) -> int:
        """Its exit code, when it has one."""
        return self._process.wait()


def rows_of(reports: Iterable[Path]) -> list[Row]:
    """One row for each test function that counts rounds or measures memory, one for all others together."""
    rows: dict[str, Row] = {}
    for case in (case for report in reports for case in ET.parse(report).iter("testcase")):
        name = case.get("name", "").partition("[")[0].removeprefix("test_").replace("_", " ")
        room = case.get("classname", "").rpartition(".")[2].removeprefix("test_").replace("_", " ")
        said = {each.get("name"): int(each.get("value", "0")) for each in case.iter("property")}
        row = Row(
            f"{room}: {name}" if said else OTHERS,
            said.get("rounds", 0),
            said.get("faults", 0),
            float(case.get("time", "0")),
            sum(case.find(bad) is not None for bad in ("failure", "error")),
            case.find("skipped") is not None,
            said.get("peak", 0),
        )
        rows[row.name] = rows[row.name] + row if row.name in rows else row
    return sorted(rows.values(), key=lambda row: row.name == OTHERS)


def figures(rows: list[Row], commit: str, minutes: float) -> str:
    """The table, and what it is of."""
    total = sum(rows, Row("all of them"))
    lines = [
        "",
        f"- commit: `{commit or 'unknown'}`",
        f"- run: {' '.join(sys.argv[1:]) or 'every test'}",
        f"- date: {dt.datetime.now(dt.UTC):%Y-%m-%d}",
        f"- seed: {torture.seed()}",
        f"- rounds: {total.rounds}; faults injected: {total.faults}",
        f"- tests that failed, which is what a loss would be: {total.failed}; skipped: {total.skipped}",
        f"- largest peak of memory: {total.peak >> 20} MiB",
        f"- time: {minutes:.0f} minutes on {os.cpu_count()} cores",
        "",
        "| test | rounds | faults | seconds | failed |",
        "|---|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {row.name} | {row.rounds or ''} | {row.faults or ''} | {row.seconds:.0f} | {row.failed} |"
        for row in [*rows, total]
    ]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.exit(main())
