"""A plugin of pytest, for the run inside a machine: each report goes out as a line, as soon as it is made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pytest

#: where the machine sees the folder that it shares with its host
OUTSIDE: Final = Path("/run/outside")
REPORTS: Final = "reports"


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Begin to report."""
    config.pluginmanager.register(Reporter(config))


class Reporter:
    """Writes what ``Replay`` reads."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._file = (OUTSIDE / REPORTS).open("w", buffering=1)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One phase of one test."""
        data = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        self._file.write(json.dumps(data, default=str) + "\n")
