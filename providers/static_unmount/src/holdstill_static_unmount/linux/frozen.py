"""A freeze with a watchdog: a process of its own freezes, and thaws whatever becomes of us."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import shlex
import socket
import subprocess
import sys
import threading
import time
from typing import Final

from holdstill.errors import LeftHeld, VolumeBusy, VolumeChanged, VolumeDenied, VolumeError, VolumeUnusable
from holdstill.model.extents import Extents
from holdstill.model.image import Audit
from holdstill.spi.given_back import carefully
from holdstill.spi.holds import Hold, Undone, UndoState
from holdstill.spi.still import Freeze, HoldRequest
from holdstill.spi.volume import Volume
from holdstill_static_unmount.linux import fsmap, ground, kernel, watchdog
from holdstill_static_unmount.linux.ground import Ground
from holdstill_static_unmount.linux.kernel import FIFREEZE, FITHAW, Kernel

KIND: Final = "static_unmount.frozen"
#: a watchdog that is asked to thaw answers within this, seconds, or is taken for dead
_PATIENCE: Final = 20.0


def hold(volume: Volume, request: HoldRequest) -> Freeze:
    """Freeze the file system of a mounted volume. Raises ``VolumeBusy``, ``VolumeUnusable``, ``VolumeDenied``; then
    nothing is frozen.
    """
    system = Kernel()
    found = ground.survey(system, volume.facts)
    system.sync(found.top)  # most of the work, while writers still go on
    data = {
        "what": f"{found.top.path} frozen",
        "boot": system.boot(),
        "device": found.device,
        "identity": system.identity(found.device),
    }
    path = shlex.quote(found.top.path)
    line = request.holds.hold(KIND, data, by_hand=f"fsfreeze --unfreeze {path}")
    return DoggedFreeze(system, found, volume, request, line, data)


def undo(system: Kernel, data: dict[str, str]) -> Undone:
    """Thaw it, if it is what was frozen, and if it is frozen still."""
    if data["boot"] != system.boot():
        return Undone(UndoState.ABSENT, "the host was started again since")
    rows = [row for row in system.rows() if row.device == data["device"]]
    if not rows:
        return Undone(UndoState.ABSENT, "it is not mounted any more")
    if system.identity(data["device"]) != data["identity"]:
        return Undone(UndoState.REFUSED, f"device {data['device']} is another one now")
    try:
        thawed = system.thaw(rows[0])
    except OSError as error:
        return Undone(UndoState.UNKNOWN, f"{rows[0].path} cannot be thawed: {os.strerror(error.errno or 0)}")
    if thawed:
        return Undone(UndoState.REMOVED, f"{rows[0].path} is thawed")
    return Undone(UndoState.ABSENT, "it is not frozen")


class DoggedFreeze(Freeze):
    """One freeze. Its methods may be called from several threads."""

    def __init__(
        self, system: Kernel, found: Ground, volume: Volume, request: HoldRequest, line: Hold, data: dict[str, str]
    ) -> None:
        self._system = system
        self._path = found.path
        self._data = data
        self._line: Hold | None = line
        self._limit = request.limit
        self._lock = threading.RLock()
        self._why: str | None = None
        self._over = False
        self._refused = False
        self._heard = b""
        self._filesystem = found.top.filesystem
        device = system.number_of(volume.facts.device)
        self._counted = device or found.device
        # what the kernel says counts from the start of its device; a file with a loop device on it may begin elsewhere
        self._same_device = device == found.device
        with kernel.at(found.top) as descriptor:
            self._mount = os.dup(descriptor)
        self._begun = time.monotonic()
        try:
            self._dog, self._socket = _start(self._mount, request)
            self._wait_until_frozen()
        except BaseException:
            self.thaw()
            raise
        self._written = system.written(self._counted)

    def renew(self) -> None:
        """See ``Freeze``."""
        with self._lock:
            if self.ended() is None:
                asked = time.monotonic()
                self._tell(b"renew\n")
                if self._answer(_PATIENCE) == "renewed":
                    self._begun = asked
                    return
            raise VolumeChanged(self.ended() or "the freeze cannot be renewed", subject=self._path)

    def ended(self) -> str | None:
        """See ``Freeze``."""
        with self._lock:
            if self._why is None:
                self._why = self._asked()
            return self._why

    def audit(self, unused: Extents) -> Audit | None:
        """By the file system itself, whose writers wait."""
        with self._lock:
            if self._line is None or not self._same_device:
                return None
            return fsmap.audit(self._mount, self._filesystem, unused, "GETFSMAP of the file system, frozen")

    def thaw(self) -> None:
        """See ``Freeze``. Told to, the watchdog thaws; where it does not answer, we do it ourselves."""
        with self._lock:
            if self._line is None:
                return
            self._over = True
            thawed = self._dismiss()
            if not (thawed or self._refused):  # refused: if it is frozen, then by somebody else
                undone = carefully(lambda: undo(self._system, self._data))
                if undone.state not in (UndoState.REMOVED, UndoState.ABSENT):
                    raise LeftHeld(
                        undone.detail, subject=self._path, next_step="`holdstill recover`, or fsfreeze --unfreeze"
                    )
            self._line.drop()
            self._line = None
            os.close(self._mount)

    def _wait_until_frozen(self) -> None:
        said = self._answer(self._limit)
        if said == "frozen":
            return
        if said.startswith("refused "):
            self._refused = True
            raise _refused(int(said.split()[1]), self._path)
        raise VolumeBusy(
            f"it could not be frozen within {self._limit:g} seconds",
            subject=self._path,
            next_step="try when less is being written to it, or raise the limit (--freeze-limit)",
        )

    def _asked(self) -> str | None:
        if self._over:
            return "the freeze is over"
        if time.monotonic() - self._begun >= self._limit:
            return f"the freeze ended at its limit of {self._limit:g} seconds, before everything was read"
        if said := self._answer(0):
            return f"the freeze ended before everything was read ({said})"
        if not self._is_frozen():
            return "somebody thawed it before everything was read"
        if self._system.written(self._counted) != self._written:
            return "something wrote to it although it was frozen"
        return None

    def _is_frozen(self) -> bool:
        """Freezing what is frozen is refused. If it is not refused it was not frozen, and must not stay so."""
        try:
            fcntl.ioctl(self._mount, FIFREEZE, 0)
        except OSError as error:
            return error.errno == errno.EBUSY
        fcntl.ioctl(self._mount, FITHAW, 0)
        return False

    def _dismiss(self) -> bool:
        """Have the watchdog thaw, and end. Did it say that it has?"""
        if not hasattr(self, "_dog"):
            return False
        self._tell(b"thaw\n")
        said = self._answer(_PATIENCE)
        while said == "renewed":
            said = self._answer(_PATIENCE)
        self._socket.close()
        try:
            self._dog.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._dog.kill()
            self._dog.wait()
        return said.startswith("thawed")

    def _tell(self, word: bytes) -> None:
        try:
            self._socket.sendall(word)
        except OSError:
            return  # it is gone; that it does not answer says so

    def _answer(self, patience: float) -> str:
        """The watchdog's next line; empty if there is none in time, ``gone`` if there will be none."""
        ends = time.monotonic() + patience
        while b"\n" not in self._heard:
            left = max(0.0, ends - time.monotonic())
            if not select.select([self._socket], [], [], left)[0]:
                return ""
            try:
                said = self._socket.recv(256)
            except OSError:
                said = b""
            if not said:
                return "gone: the watchdog died"
            self._heard += said
        line, _, self._heard = self._heard.partition(b"\n")
        return line.decode()


def _start(mount: int, request: HoldRequest) -> tuple[subprocess.Popen[bytes], socket.socket]:
    ours, theirs = socket.socketpair()
    with theirs:
        dog = subprocess.Popen(  # noqa: S603  # our own file, by our own Python
            [sys.executable, "-I", "-S", "-B", watchdog.__file__, str(mount), str(request.limit)],
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(mount,),
            start_new_session=True,
            cwd="/",
            env={"HOLDSTILL_RUN": request.run},
        )
    return dog, ours


def _refused(number: int, path: str) -> VolumeError:
    if number == errno.EBUSY:
        return VolumeBusy("somebody has frozen it already", subject=path, next_step="wait until that is over")
    if number in (errno.EPERM, errno.EACCES):
        return VolumeDenied("the system does not let us freeze it", subject=path, next_step="run this as root")
    return VolumeUnusable(
        f"it cannot be frozen: {os.strerror(number)}", subject=path, next_step="choose another mode (static, dynamic)"
    )
