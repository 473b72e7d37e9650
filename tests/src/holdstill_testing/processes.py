"""Engine calls in a process of their own, which kills itself, without a word to anybody, at a chosen point.

The points are real: each is a system call that has just changed something durable or visible on a disk. What is not
reached is killed from outside, at an instant that nobody chose.
"""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs

if TYPE_CHECKING:
    from holdstill.engine import Engine

#: the calls after which a process may be killed: what makes bytes, names and absences durable or visible
CALLS: Final = ("fsync", "link", "rename", "unlink", "mkdir", "writev", "write", "pwrite", "pwritev", "ftruncate")

#: a server process forks the children: it has loaded engine and plugins once, and has no threads that a fork would lose
_CONTEXT: Final = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["holdstill.engine", "holdstill_testing.warm", "holdstill_testing.processes"])


@attrs.frozen
class Point:
    """Just after the ``at``-th (from 1) of ``calls``; 0: never, but count them."""

    at: int = 0
    calls: tuple[str, ...] = CALLS


@attrs.frozen
class Ended:
    """How a child came to its end."""

    killed: bool
    calls: int = 0
    """Of the point's calls, how many it made; known of those that were not killed."""
    seconds: float = 0.0
    error: str = ""
    """The id of the ``HoldstillError`` that it raised."""


def run_until(point: Point, job: Callable[..., object], *arguments: object) -> Ended:
    """Do ``job`` in a process that kills itself at ``point``. Both are sent there: ``job`` is a module's function."""
    receive, send = _CONTEXT.Pipe(duplex=False)
    child = _CONTEXT.Process(target=_in_child, args=(point, send, job, arguments))
    child.start()
    send.close()
    return _awaited(child, receive)


def run_for(seconds: float, job: Callable[..., object], *arguments: object) -> Ended:
    """Do ``job`` in a process and kill it after so long, if it is not done by then."""
    receive, send = _CONTEXT.Pipe(duplex=False)
    child = _CONTEXT.Process(target=_in_child, args=(Point(), send, job, arguments))
    child.start()
    send.close()
    receive.recv()  # it says when it begins, so that starting takes none of its time
    time.sleep(seconds)
    child.kill()
    return _awaited(child, receive)


def _awaited(child: BaseProcess, receive: Any) -> Ended:
    ended = Ended(killed=True)
    with contextlib.suppress(EOFError):
        while True:
            told = receive.recv()
            ended = told if isinstance(told, Ended) else ended
    child.join()
    assert child.exitcode in ((-signal.SIGKILL,) if ended.killed else (0, -signal.SIGKILL)), child.exitcode
    child.close()
    receive.close()
    return ended


def _in_child(point: Point, send: Any, job: Callable[..., object], arguments: tuple[object, ...]) -> None:
    from holdstill.errors import HoldstillError

    counted = _Counter(point)
    for name in point.calls:
        setattr(os, name, counted.after(getattr(os, name)))
    send.send("begun")
    began = time.monotonic()
    error = ""
    try:
        job(*arguments)
    except HoldstillError as fault:
        error = fault.id
    counted.at = 0
    send.send(Ended(killed=False, calls=counted.made, seconds=time.monotonic() - began, error=error))


class _Counter:
    """Counts calls, whatever thread makes them, and ends the process at one of them."""

    def __init__(self, point: Point) -> None:
        self.at = point.at
        self.made = 0
        self._lock = threading.Lock()

    def after(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same call, counted when it is done."""

        @functools.wraps(call)
        def counted(*arguments: object, **more: object) -> object:
            answer = call(*arguments, **more)
            with self._lock:
                self.made += 1
                if self.made == self.at:
                    os.kill(os.getpid(), signal.SIGKILL)
                    signal.pause()
            return answer

        return counted


# --- jobs ---------------------------------------------------------------------------------------


def _engine(state: str, workers: int | None = None) -> Engine:
    from holdstill.engine import Engine
    from holdstill_testing.warm import INSTALLED

    return Engine(INSTALLED, state=state, workers=workers)


def back_up(repository: str, volume: str, state: str, mode: str = "auto", workers: int | None = None) -> None:
    """One backup, on every core unless told otherwise."""
    from holdstill.model.requests import BackupRequest
    from holdstill.model.volume import Mode
    from holdstill.spi.conversation import Conversation

    engine = _engine(state, workers)
    engine.backup(repository, BackupRequest(volume, mode=Mode(mode)), Conversation())


def restore(
    repository: str,
    image: str,
    target: str,
    state: str,
    workers: int | None = None,
    resume: bool = False,
) -> None:
    """One restore, onto something that is there or into a new file, on every core unless told otherwise."""
    from holdstill.model.requests import RestoreRequest
    from holdstill_testing.conversations import Agreeing

    there = Path(target).exists()
    request = RestoreRequest(
        image, to_volume=target if there else None, to_file=None if there else target, resume=resume
    )
    _engine(state, workers).restore(repository, request, Agreeing())


def verify(repository: str, state: str) -> None:
    """Read every byte of the repository; AssertionError if anything is wrong with it."""
    from holdstill.model.requests import VerifyRequest
    from holdstill.spi.conversation import Conversation

    assert not _engine(state).verify(repository, VerifyRequest(read_data=True), Conversation()).findings


def prune(repository: str, state: str, repack_below: float, fence: bool) -> None:  # sent by place
    """Give back what no image needs."""
    from holdstill.model.requests import PruneRequest
    from holdstill_testing.conversations import Agreeing

    _engine(state).prune(repository, PruneRequest(repack_below=repack_below, fence=fence), Agreeing())


def copy(repository: str, other: str, state: str) -> None:
    """Copy every image to the other repository."""
    from holdstill.model.requests import CopyRequest
    from holdstill.spi.conversation import Conversation

    _engine(state).copy(repository, CopyRequest(other), Conversation())


def survey(volume: str, state: str) -> None:
    """Read the whole block map, window by window."""
    with _engine(state).map(volume) as surveyed:
        for _ in surveyed.windows():
            pass


# --- memory -------------------------------------------------------------------------------------

#: proc(5): VmHWM is the peak resident set; getrusage(2): ru_maxrss is in KiB on Linux
_PEAK: Final = """
import re, resource, sys
from holdstill_testing import processes
getattr(processes, sys.argv[1])(*(int(each) if each.isdigit() else each for each in sys.argv[2:]))
own = int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
print(own + resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def peak_of(job: Callable[..., object], *arguments: str | int) -> int:
    """The most memory, in bytes, that ``job`` (one of this module) takes in a fresh interpreter, which counts too.

    The largest process that it started and waited for is added; the engine starts one at a time.
    """
    command = (sys.executable, "-W", "ignore::ResourceWarning", "-c", _PEAK, job.__name__, *map(str, arguments))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout) << 10
