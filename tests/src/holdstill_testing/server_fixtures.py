"""The servers as fixtures: each is started once in a test session, when the first test asks for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from holdstill_testing import servers
from holdstill_testing.servers import S3Server, SshServer


@pytest.fixture(scope="session")
def s3_credentials() -> Iterator[None]:
    """What the S3 servers let in is in the environment, for this process and those that it starts."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in servers.CREDENTIALS.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="session")
def rclone_server(tmp_path_factory: pytest.TempPathFactory, s3_credentials: None) -> Iterator[S3Server]:
    """An S3 that ignores conditions: one writer at a time."""
    with servers.rclone_s3(tmp_path_factory.mktemp("rclone")) as server:
        yield server


@pytest.fixture(scope="session")
def moto_server(tmp_path_factory: pytest.TempPathFactory, s3_credentials: None) -> Iterator[S3Server]:
    """An S3 that honours conditions and locks."""
    with servers.moto_s3(tmp_path_factory.mktemp("moto")) as server:
        yield server


@pytest.fixture(scope="session")
def ssh_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    """An sshd that lets in whoever runs the tests."""
    with servers.sshd(tmp_path_factory.mktemp("sshd")) as server:
        yield server
