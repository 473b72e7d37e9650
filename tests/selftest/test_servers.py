"""The servers that tests talk to: whoever starts one and is killed leaves none behind; what is made later is seen."""

import os
import select
import signal
import subprocess
import sys

import pytest

from holdstill_storage.plugin import storage_target

STARTS = """
import sys
from pathlib import Path
from holdstill_testing import servers
started = []
real = servers.subprocess.Popen
servers.subprocess.Popen = lambda *all, **more: started.append(real(*all, **more)) or started[-1]
folder = Path(sys.argv[2])
folder.mkdir()
with getattr(servers, sys.argv[1])(folder):
    print(started[-1].pid, flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("kind", ["moto_s3", "rclone_s3", "sshd"])
def test_a_server_ends_with_whoever_started_it(kind, tmp_path):
    command = [sys.executable, "-c", STARTS, kind, tmp_path / "server"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as starter:
        server = os.pidfd_open(int(starter.stdout.readline()))
        starter.send_signal(signal.SIGKILL)
        select.select([server], [], [])
        os.close(server)


def test_a_bucket_is_seen_that_was_made_after_others_were_looked_at(rclone_server):
    for _ in range(2):
        with storage_target(rclone_server.bucket()) as target:
            assert list(target.list("")) == []
