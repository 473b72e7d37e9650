"""Programs as the engine starts them. The only file of the engine that starts any."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Final

from holdstill.errors import Cancelled, PluginError
from holdstill.model.events import Warned
from holdstill.spi.conversation import Conversation
from holdstill.spi.runner import Flow, Ran, Runner

#: how the names of environment variables begin that hold passwords, or say where they are
PASSWORDS: Final = ("HOLDSTILL_PASSWORD", "HOLDSTILL_NEW_PASSWORD", "HOLDSTILL_TO_PASSWORD")
#: the environment variable that says for which run a program works
RUN: Final = "HOLDSTILL_RUN"
#: so much of what a program says is kept
_KEPT: Final = 1 << 20
#: how often a program is looked after, seconds
_LOOK: Final = 0.05
#: between being asked to end and being killed, seconds
_GRACE: Final = 0.5


class ProcessRunner(Runner):
    """Programs of one run. ``slow``: seconds after which a program that must not be killed is told of."""

    def __init__(self, run: str, scratch: Path, talk: Conversation, *, slow: float = 30.0) -> None:
        self._run = run
        self._scratch = scratch
        self._talk = talk
        self._slow = slow

    def ask(self, argv: Sequence[str], *, limit: float) -> Ran:
        """See ``Runner``. Raises ``Cancelled`` when told to, after the program has ended."""

        def wait(process: subprocess.Popen[bytes]) -> bool:
            ends = time.monotonic() + limit
            try:
                while not _ended(process, _LOOK):
                    if self._talk.cancelled():
                        raise Cancelled(f"cancelled; {argv[0]} was ended")
                    if time.monotonic() >= ends:
                        return True
            finally:
                _end(process)
            return False

        return self._started(argv, wait)

    def change(self, argv: Sequence[str]) -> Ran:
        """See ``Runner``."""
        return self._started(argv, lambda process: self._patiently(process, argv))

    def _patiently(self, process: subprocess.Popen[bytes], argv: Sequence[str]) -> bool:
        interrupted: KeyboardInterrupt | None = None
        told = time.monotonic()
        while True:
            try:
                if _ended(process, _LOOK):
                    break
                if time.monotonic() - told >= self._slow:
                    told = time.monotonic()
                    text = (
                        f"{' '.join(argv)} takes long (process {process.pid}); it changes storage, so it is waited for"
                    )
                    self._talk.tell(Warned("command.slow", text))
            except KeyboardInterrupt as error:
                interrupted = error
        if interrupted is not None:
            raise interrupted
        return False

    def stream(self, argv: Sequence[str]) -> Flow:
        """See ``Runner``."""
        err = self._paper()
        try:
            return ProcessFlow(self._start(argv, subprocess.PIPE, subprocess.PIPE, err), err)
        except (OSError, ValueError) as error:
            err.close()
            raise PluginError(f"it cannot be started: {error}", subject=argv[0], next_step="install it") from error

    def _start(self, argv: Sequence[str], into: int, out: int | IO[bytes], err: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603  # no shell; what is run is the caller's to know
            list(argv),
            bufsize=0,
            stdin=into,
            stdout=out,
            stderr=err,
            close_fds=True,
            start_new_session=True,
            cwd="/",
            env={**without_passwords(os.environ), "LC_ALL": "C", "LANGUAGE": "C", RUN: self._run},
        )

    def _started(self, argv: Sequence[str], wait: Callable[[subprocess.Popen[bytes]], bool]) -> Ran:
        with self._paper() as out, self._paper() as err:
            try:
                process = self._start(argv, subprocess.DEVNULL, out, err)
            except (OSError, ValueError) as error:
                return Ran(tuple(argv), 127, "", f"{argv[0]} cannot be started: {error}")
            late = wait(process)
            return Ran(tuple(argv), process.returncode, _text(out), _text(err), late)

    def _paper(self) -> IO[bytes]:
        return tempfile.TemporaryFile(dir=self._scratch)


def without_passwords(environment: Mapping[str, str]) -> dict[str, str]:
    """The same, without what a program that we start has no business with."""
    return {name: value for name, value in environment.items() if not name.startswith(PASSWORDS)}


class ProcessFlow(Flow):
    """A process with pipes."""

    def __init__(self, process: subprocess.Popen[bytes], err: IO[bytes]) -> None:
        """Of a process that was started with both pipes, and the file that it writes its errors to."""
        assert process.stdin is not None
        assert process.stdout is not None
        self.into, self.out = process.stdin, process.stdout
        self._process = process
        self._err = err
        self._said: str | None = None

    def close(self) -> str:
        """See ``Flow``."""
        if self._said is None:
            with contextlib.suppress(OSError):
                self.into.close()
            _end(self._process)
            self.out.close()
            self._said = _text(self._err)
            self._err.close()
        return self._said


def survivors(run: str, patience: float) -> list[int]:
    """The processes that still work for this run when ``patience`` seconds are over; none where nobody can tell."""
    ends = time.monotonic() + patience
    while found := _working_for(run):
        if time.monotonic() >= ends:
            break
        time.sleep(_LOOK)
    return found


def _working_for(run: str) -> list[int]:
    wanted = f"{RUN}={run}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int(folder.name) != os.getpid() and wanted in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found


def _ended(process: subprocess.Popen[bytes], seconds: float) -> bool:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    return process.returncode is not None


def _end(process: subprocess.Popen[bytes]) -> None:
    """End its whole group, politely first. What it left running after it ended by itself is none of our business."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        _ended(process, _GRACE if number is signal.SIGTERM else 60.0)


def _text(paper: IO[bytes]) -> str:
    paper.seek(0)
    return paper.read(_KEPT).decode(errors="backslashreplace")
