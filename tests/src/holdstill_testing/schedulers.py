"""A real scheduler of dask.distributed on loopback, with workers in processes of their own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import attrs

#: seconds until it must be up, however busy the machine is
_TOO_LONG: Final = 120
_QUIET: Final = {"DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "5s", "DASK_DISTRIBUTED__WORKER__DAEMON": "True"}


@attrs.define
class Cluster:
    """A scheduler and its workers, each with one thread."""

    folder: Path
    scheduler: subprocess.Popen[bytes]
    port: int
    environment: Mapping[str, str]
    """What the workers find in theirs, besides ours."""
    workers: list[subprocess.Popen[bytes]] = attrs.field(factory=list)

    @property
    def url(self) -> str:
        """What ``--executor`` takes."""
        return f"dask://127.0.0.1:{self.port}"

    def work(self, count: int) -> None:
        """Start so many workers more, and wait until the scheduler has them."""
        for _ in range(count):
            number = len(self.workers)
            options = (
                "--nthreads",
                "1",
                "--no-nanny",
                "--no-dashboard",
                "--local-directory",
                self.folder / f"{number}",
            )
            words = ("worker", f"127.0.0.1:{self.port}", *options)
            self.workers.append(_started(self.folder / f"worker{number}", self.environment, *words))
        self._until(len([worker for worker in self.workers if worker.poll() is None]))

    def _until(self, count: int) -> None:
        from distributed import Client

        with Client(f"tcp://127.0.0.1:{self.port}", timeout=_TOO_LONG, set_as_default=False) as client:
            client.wait_for_workers(count, timeout=_TOO_LONG)


@contextlib.contextmanager
def dask_cluster(folder: Path, workers: int, environment: Mapping[str, str] | None = None) -> Iterator[Cluster]:
    """Up as long as the block lasts. Its logs are in ``folder``; ``environment`` is the workers', besides ours."""
    told = folder / "scheduler.json"
    options = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", told)
    scheduler = _started(folder / "scheduler", {}, "scheduler", *options)
    cluster = Cluster(folder, scheduler, 0, environment or {})
    try:
        cluster.port = _port_in(told, scheduler)
        if workers:
            cluster.work(workers)
        yield cluster
    finally:
        for process in (*cluster.workers, scheduler):
            process.kill()
            process.wait()


def _started(log: Path, environment: Mapping[str, str], *words: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "dask", *map(str, words)]
    with log.open("wb") as file:
        return subprocess.Popen(
            command, env={**os.environ, **_QUIET, **environment}, stdin=subprocess.DEVNULL, stdout=file, stderr=file
        )


def _port_in(told: Path, scheduler: subprocess.Popen[bytes]) -> int:
    end = time.monotonic() + _TOO_LONG
    while time.monotonic() < end:
        assert scheduler.poll() is None, "the scheduler has ended"
        with contextlib.suppress(OSError, ValueError):
            return int(json.loads(told.read_text())["address"].rpartition(":")[2])
        time.sleep(0.05)
    raise AssertionError("the scheduler does not come up")
