"""What the plugin says of itself, and what it refuses."""

import socket

import pytest

from holdstill.errors import UsageError, WorkersLost
from holdstill.plugins.registry import Plugins
from holdstill_testing.schedulers import dask_cluster


@pytest.mark.parametrize("url", ["dask://", "dask://:8786", "dask://host:nonsense", "dask://me@host", "dask://host/x"])
def test_what_names_no_scheduler(url):
    with pytest.raises(UsageError):
        Plugins.installed().workforce(url)


def test_nobody_is_there(monkeypatch):
    monkeypatch.setattr("holdstill_dask.scheduler._PATIENCE", 1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"dask://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(WorkersLost) as failed:
            Plugins.installed().workforce(url)
    assert failed.value.subject == url
    assert "--executor" in failed.value.next_step


def test_a_scheduler_without_workers(tmp_path):
    with dask_cluster(tmp_path, workers=0) as cluster, pytest.raises(WorkersLost, match="no workers"):
        Plugins.installed().workforce(cluster.url)
