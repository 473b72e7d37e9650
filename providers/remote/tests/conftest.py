"""Debian's sshd on loopback: the machine is this one, seen from outside."""

from __future__ import annotations

import contextlib
import getpass
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdstill.held.runner import ProcessRunner
from holdstill.spi.conversation import Conversation
from holdstill_remote import address
from holdstill_remote.connection import CONFIG, Connection
from holdstill_remote.machine import SshMachine
from holdstill_testing import volumes

pytest_plugins = ["holdstill_testing.server_fixtures"]

CONFIGURATION = """
Host there
    HostName 127.0.0.1
    Port {server.port}
    User {user}
    IdentityFile {identity}
    IdentitiesOnly yes
    UserKnownHostsFile {known_hosts}
"""


class Ssh:
    """The server, and the configuration by which it is reached as ``there``."""

    def __init__(self, server, folder):
        self.server = server
        self.file = folder / "ssh_config"
        self.configure()

    def configure(self, **other):
        given = {"identity": self.server.identity, "known_hosts": self.server.known_hosts, **other}
        self.file.write_text(CONFIGURATION.format(server=self.server, user=getpass.getuser(), **given))

    def new_key(self, folder, options=""):
        """A key that is let in, with the options that authorized_keys has for it."""
        key = folder / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        with (self.server.folder / "authorized").open("a") as authorized:
            authorized.write(f"{options} {key.with_suffix('.pub').read_text()}")
        return key


@pytest.fixture
def ssh(ssh_server, tmp_path, monkeypatch):
    ssh = Ssh(ssh_server, tmp_path)
    monkeypatch.setenv(CONFIG, str(ssh.file))
    return ssh


@pytest.fixture
def local(tmp_path):
    return ProcessRunner("asking", tmp_path, Conversation())


@pytest.fixture
def connection(ssh, local):
    connection = Connection(address.parse("ssh://there"))
    connection.open(local)
    yield connection
    connection.close(local)


@pytest.fixture
def machine(connection, local):
    return SshMachine(connection, local)


@pytest.fixture
def cut(local):
    """Ends a connection without a word, as a broken network does."""

    def end(connection):
        said = local.ask([*connection._ssh("no"), "-O", "check", *connection.address.words], limit=30).err
        os.kill(int(re.search(r"pid=(\d+)", said)[1]), signal.SIGKILL)

    return end


@pytest.fixture
def _root_only(request):
    if os.geteuid() != 0:
        pytest.skip("needs root")


@pytest.fixture
def device(_root_only, tmp_path):
    """A loop device of 4 MiB and one sector, with noise on it."""
    with _noisy(tmp_path / "device", (4 << 20) + 512) as device:
        yield device


@pytest.fixture
def small(_root_only, tmp_path):
    """The least that the suite of readers takes, and a last block of its own."""
    with _noisy(tmp_path / "small", (128 << 10) + 512) as device:
        yield device


@contextlib.contextmanager
def _noisy(path: Path, size: int) -> Iterator[str]:
    path.write_bytes(os.urandom(size))
    with volumes.attached(path) as device:
        yield device
