"""A new repository for each test, and one folder of real files for all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdstill_testing import volumes
from holdstill_testing.schedulers import Cluster, dask_cluster
from holdstill_testing.servers import S3Server
from holdstill_testing.torture import dice
from holdstill_testing.workbench import Workbench


@pytest.fixture(autouse=True)
def _root_only(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("root") and os.geteuid() != 0:
        pytest.skip("needs root")


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    """A new repository, and a state folder of its own."""
    bench = Workbench.at(tmp_path)
    bench.engine.init(bench.url)
    return bench


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some aged files."""
    folder = tmp_path_factory.mktemp("files")
    volumes.ageing(folder, dice("files"), files=120)
    return folder


@pytest.fixture
def volume(tmp_path: Path, files: Path) -> Path:
    """An ext4 of 64 MiB in a file, with the files in it."""
    return volumes.ext4(tmp_path / "volume", 64 << 20, content=files)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory, rclone_server: S3Server) -> Iterator[Cluster]:
    """A scheduler and three workers, who find in their environment where an S3 is, and two passwords."""
    environment = {
        "AWS_ENDPOINT_URL": rclone_server.endpoint,
        "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
        "HOLDSTILL_PASSWORD": "only for tests",
        "HOLDSTILL_TO_PASSWORD": "for tests, too",
    }
    with dask_cluster(tmp_path_factory.mktemp("cluster"), 3, environment) as running:
        yield running
