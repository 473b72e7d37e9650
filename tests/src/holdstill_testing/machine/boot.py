"""One boot of a virtual machine, from power on to power off. Emulated, so it runs where there is no KVM."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attrs

from holdstill_testing.machine.initramfs import initramfs

#: bytes of each disk; sparse files outside
DISK: Final = 1 << 30
#: how many there are: /dev/vda, /dev/vdb ...
DISKS: Final = 4
_MEMORY: Final = "2048"
#: on a busy host the timer's first ticks come late, and a kernel that counts them would take it for broken
_KERNEL: Final = "console=ttyS0 quiet loglevel=3 panic=-1 no_timer_check"
#: an emulated second one costs half of both where threads wait for each other; two machines side by side cost nothing
_PROCESSORS: Final = "1"


@attrs.frozen
class Parts:
    """What of this host a machine is made of."""

    qemu: str
    busybox: Path
    kernel: Path
    modules: Path

    @classmethod
    def found(cls) -> Parts:
        """Raises LookupError, saying what is missing."""
        qemu = shutil.which("qemu-system-x86_64")
        busybox = shutil.which("busybox")
        if qemu is None or busybox is None:
            raise LookupError("no virtual machine without qemu-system-x86 and busybox-static")
        for kernel in sorted(Path("/boot").glob("vmlinuz-*"), key=_version, reverse=True):
            modules = Path("/lib/modules") / kernel.name.removeprefix("vmlinuz-")
            if (modules / "modules.dep").exists():
                return cls(qemu, Path(busybox), kernel, modules)
        raise LookupError("no virtual machine without a kernel and its modules (linux-image-amd64)")


@attrs.define
class Machine:
    """A machine whose files are in ``folder``: its disks, its console, and ``outside``, which it sees as
    ``/run/outside`` and may write to.
    """

    parts: Parts
    folder: Path
    _process: subprocess.Popen[bytes] | None = None

    @property
    def outside(self) -> Path:
        """What both sides see."""
        return self.folder / "outside"

    @property
    def console(self) -> str:
        """What it has said."""
        paper = self.folder / "console"
        return paper.read_text(errors="backslashreplace") if paper.exists() else ""

    def begin(self, script: str) -> None:
        """Boot, run ``script`` as the first process, power off. Whatever else the host does goes before it."""
        self.outside.mkdir(parents=True, exist_ok=True)
        (self.outside / "run").write_text(script)
        archive = self.folder / "initramfs"
        archive.write_bytes(initramfs(self.parts.modules, self.parts.busybox))
        for disk in self._disks():
            with disk.open("wb") as file:
                file.truncate(DISK)
        self._process = subprocess.Popen(self._command(archive), stdin=subprocess.DEVNULL)

    def wait(self, limit: float) -> None:
        """Until it is off; after ``limit`` more seconds the plug is pulled."""
        try:
            if self._process is not None:
                self._process.wait(limit)
        except subprocess.TimeoutExpired:
            with (self.folder / "console").open("a") as console:
                console.write(f"\n(the plug was pulled after {limit:g} more seconds)\n")
        finally:
            self.unplug()

    def unplug(self) -> None:
        """Off, whatever it was doing."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        for disk in self._disks():
            disk.unlink(missing_ok=True)

    def _disks(self) -> list[Path]:
        return [self.folder / f"disk{number}" for number in range(DISKS)]

    def _command(self, archive: Path) -> Sequence[str]:
        share = "security_model=none,multidevs=remap"
        return [
            *("nice", "-n", "10", self.parts.qemu, "-nodefaults", "-no-reboot", "-display", "none", "-m", _MEMORY),
            *("-accel", "tcg,thread=multi", "-cpu", "max", "-smp", _PROCESSORS),
            *("-serial", f"file:{self.folder / 'console'}", "-kernel", str(self.parts.kernel)),
            *("-initrd", str(archive), "-append", _KERNEL),
            *("-virtfs", f"local,path=/,mount_tag=host,readonly=on,{share}"),
            *("-virtfs", f"local,path={self.outside},mount_tag=outside,{share}"),
            *(
                word
                for disk in self._disks()
                for word in ("-drive", f"file={disk},format=raw,if=virtio,cache=unsafe,discard=unmap")
            ),
        ]


def _version(kernel: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", kernel.name)]
