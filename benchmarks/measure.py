"""One command, measured with all its children: wall time with the sync that makes its output durable, CPU, peak
memory.
"""

from __future__ import annotations

import os
import resource
import subprocess
import threading
import time
from pathlib import Path

import attrs


@attrs.frozen
class Cost:
    """Seconds and bytes. ``memory`` is the largest sum over all processes that were alive together."""

    wall: float
    cpu: float
    memory: int


def run(command: str, output: Path, env: dict[str, str] | None = None) -> Cost:
    """Run a shell command line; what it wrote below ``output`` is synced before the clock stops."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    process = subprocess.Popen(
        ["bash", "-o", "pipefail", "-c", command],
        env={**os.environ, **(env or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    watch = _Watch(process.pid)
    _, complaint = process.communicate()
    subprocess.run(["sync", "-f", str(output)], check=True)
    wall = time.monotonic() - began
    peak = watch.stop()
    if process.returncode:
        raise SystemExit(f"{command}\nended with {process.returncode}: {complaint.decode(errors='replace')[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, peak)


def warm(volume: Path) -> None:
    """Bring a volume into the page cache."""
    with volume.open("rb", buffering=0) as file:
        while file.read(4 << 20):
            pass


def cool(folder: Path) -> None:
    """Put every file below out of the page cache: whoever restores did not write the store a moment ago."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class _Watch:
    """Looks at a process group every few hundredths of a second and keeps the largest sum of resident memory."""

    def __init__(self, group: int) -> None:
        self._group = group
        self._peak = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        page = os.sysconf("SC_PAGE_SIZE")
        while not self._ended.wait(0.03):
            total = 0
            for stat in Path("/proc").glob("[0-9]*/stat"):
                try:
                    fields = stat.read_text().rpartition(")")[2].split()
                    if int(fields[2]) == self._group:
                        total += int((stat.parent / "statm").read_text().split()[1]) * page
                except (OSError, ValueError, IndexError):
                    continue
            self._peak = max(self._peak, total)

    def stop(self) -> int:
        self._ended.set()
        self._thread.join()
        return self._peak
