"""Tests that run inside a machine, told outside as if they had run here."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import attrs
import pytest

from holdstill_testing.machine.boot import Machine, Parts
from holdstill_testing.machine.inside import REPORTS
from holdstill_testing.torture import full

#: no batch takes longer once somebody waits for it, also beside others that keep the processors busy, seconds
LIMIT: Final = 14400 if full() else 2400
_TOLD: Final = 6000


@attrs.define
class Replay:
    """Boots once for a batch of tests, and hands out what was reported of each."""

    config: pytest.Config
    folder: Path
    prepare: str
    """Shell commands that come first inside."""
    batch: Sequence[str]
    """Node ids."""
    _reports: dict[str, list[dict[str, Any]]] | None = None
    _console: str = ""
    _missing: str = ""
    _machine: Machine | None = None

    def begin(self) -> None:
        """Boot; the machine runs its batch while other tests run here."""
        try:
            machine = Machine(Parts.found(), self.folder)
        except LookupError as error:
            self._missing = str(error)
            return
        machine.outside.mkdir(parents=True)
        (machine.outside / "tests").write_text("".join(f"{nodeid}\n" for nodeid in self.batch))
        machine.begin(self._script())
        self._machine = machine

    def end(self) -> None:
        """Nobody asks any more."""
        if self._machine is not None:
            self._machine.unplug()

    def reports(self, item: pytest.Item) -> list[pytest.TestReport]:
        """Those of ``item``, when the machine has run its batch."""
        if self._machine is not None and self._reports is None:
            self._machine.wait(LIMIT)
            self._reports = self._read(self._machine)
        if self._missing:
            return [self._instead(item, "skipped", (str(item.path), item.location[1] or 0, self._missing))]
        found = [
            report
            for data in (self._reports or {}).get(item.nodeid, [])
            if (report := self.config.hook.pytest_report_from_serializable(config=self.config, data=data)) is not None
        ]
        if {report.when for report in found} >= {"setup", "teardown"}:
            return found
        text = f"the machine ended before this test did; the end of its console:\n{self._console[-_TOLD:]}"
        return [*found, self._instead(item, "failed", text)]

    def _read(self, machine: Machine) -> dict[str, list[dict[str, Any]]]:
        self._console = machine.console
        lines = machine.outside / REPORTS
        reports: dict[str, list[dict[str, Any]]] = {}
        for line in lines.read_text().splitlines() if lines.exists() else []:
            data = json.loads(line)
            reports.setdefault(data["nodeid"], []).append(data)
        return reports

    def _script(self) -> str:
        root = shlex.quote(str(self.config.rootpath))
        python = shlex.quote(sys.executable)
        torture = shlex.quote(os.environ.get("HOLDSTILL_TORTURE", ""))
        return (
            f"{self.prepare}\n"
            f"export HOME=/tmp PYTHONDONTWRITEBYTECODE=1 HOLDSTILL_MACHINE=1 HOLDSTILL_TORTURE={torture}\n"
            f"[ -d {root} ] || {{ mkdir -p {root}; mount -o bind /run/beneath{root} {root}; }}\n"
            f"cd {root}\n"
            f"{python} -m pytest -p holdstill_testing.machine.inside -p no:cacheprovider --color=no -q"
            f" -o tmp_path_retention_policy=none --timeout={LIMIT}"
            " @/run/outside/tests >/dev/console 2>&1 </dev/null\n"
            "/bin/busybox poweroff -n -f\n"
        )

    @staticmethod
    def _instead(item: pytest.Item, outcome: Any, longrepr: Any) -> pytest.TestReport:  # pytest's own
        return pytest.TestReport(item.nodeid, item.location, {}, outcome, longrepr, "call")
