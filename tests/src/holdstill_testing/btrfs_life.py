"""What happens to a Btrfs that is mounted: files of all sorts, snapshots, balances, and a look in the midst."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
from pathlib import Path
from typing import Final

from holdstill_testing.torture import dice

MIB: Final = 1 << 20


def _run(*command: str | Path) -> None:
    subprocess.run([str(word) for word in command], check=True, capture_output=True)


class Life:
    """What happens to a mounted file system. Each method is one thing that a ``Kind`` may ask for."""

    def __init__(self, point: Path, image: Path, name: str) -> None:
        """``point`` is where ``image`` is mounted; ``name`` seeds what happens by chance."""
        self.point = point
        self.image = image
        self.chance = dice(f"btrfs/{name}")
        self.moving: subprocess.Popen[bytes]

    def fill(self) -> None:
        """Files of many sizes: inline, with holes, allocated in advance, and a subvolume."""
        _run("btrfs", "subvolume", "create", self.point / "sub")
        for index in range(60):
            folder = self.point / ("sub" if index % 2 else f"dir{index % 5}")
            folder.mkdir(exist_ok=True)
            with (folder / f"file{index}").open("wb") as file:
                if index % 7 == 6:
                    file.seek(self.chance.randrange(1 << 20))
                length = self.chance.choice((0, 30, 2000, 3000, 20_000, 90_000, 300_000))
                file.write(self.chance.randbytes(length // 2) + b"again" * (length // 10))
                if index % 10 == 9:
                    os.posix_fallocate(file.fileno(), 0, 200_000)

    def age(self) -> None:
        """Snapshots, reflinks, overwritten and removed files, holes punched, over several transactions."""
        _run("btrfs", "subvolume", "snapshot", "-r", self.point / "sub", self.point / "before")
        files = sorted(path for path in self.point.glob("[ds]*/file*") if path.stat().st_size)
        for index, path in enumerate(files):
            if index % 3 == 0:
                path.unlink()
            elif index % 3 == 1:
                _run("cp", "--reflink=always", path, path.with_suffix(".clone"))
                with path.open("r+b") as file:
                    file.seek(self.chance.randrange(path.stat().st_size))
                    file.write(self.chance.randbytes(9000))
            if index % 8 == 0:
                os.sync()
        _run("btrfs", "subvolume", "snapshot", self.point / "sub", self.point / "after")
        holed = next(path for path in files if path.exists() and path.stat().st_size > 50_000)
        _run("fallocate", "-p", "-o", "8192", "-l", "16384", holed)

    def many(self) -> None:
        """So many files that trees grow high."""
        folder = self.point / "sub" / "many"
        folder.mkdir()
        for index in range(1500):
            (folder / f"a file with a rather long name {index}").write_bytes(b"x" * (5000 if index % 4 == 0 else 30))

    def many_more(self) -> None:
        """Again so many, elsewhere."""
        for index in range(1500):
            (self.point / f"another file with a long name {index}").write_bytes(b"z" * (4000 if index % 3 else 200))

    def snapshots(self) -> None:
        """Copies of a subvolume with changes of their own."""
        for number in range(4):
            _run("btrfs", "subvolume", "snapshot", self.point / "sub", self.point / f"copy{number}")
            for index in range(0, 1500, 7):
                name = f"a file with a rather long name {index}"
                (self.point / f"copy{number}" / "many" / name).write_bytes(b"y" * 40)
            os.sync()

    def drop(self) -> None:
        """Delete subvolumes; the kernel cleans up behind them after the next commit."""
        _run("btrfs", "subvolume", "delete", *(self.point / f"copy{number}" for number in range(4)))

    def frozen(self) -> None:
        """What the device holds after a freeze is the image: still mounted, and with work left to do."""
        _run("fsfreeze", "--freeze", self.point)
        try:
            _run("cp", "--sparse=always", self.image, self.image.with_suffix(".taken"))
        finally:
            _run("fsfreeze", "--unfreeze", self.point)

    def crash(self) -> None:
        """What the device holds at this instant is the image, whatever the kernel is at: as if power were cut.

        The device's file must lie where it can be cloned: then no write comes between.
        """
        _run("cp", "--reflink=always", self.image, self.image.with_suffix(".taken"))

    def flush(self) -> None:
        """Flush a file right after a commit, so that it is in a log."""
        _run("btrfs", "filesystem", "sync", self.point)
        with (self.point / "sub" / "flushed").open("wb") as file:
            file.write(self.chance.randbytes(100_000))
            os.fsync(file.fileno())

    def balance(self) -> None:
        """Move everything into new chunks."""
        _run("btrfs", "balance", "start", "--full-balance", self.point)

    def balancing(self) -> None:
        """Begin to move everything, and come back in the midst of it (or at the end, where it is quick)."""
        moving = subprocess.Popen(
            ["btrfs", "balance", "start", "--full-balance", self.point], stdout=subprocess.DEVNULL
        )
        status = ["btrfs", "balance", "status", str(self.point)]
        while moving.poll() is None and b"considered" not in subprocess.run(status, capture_output=True).stdout:
            pass
        self.moving = moving

    def cancel(self) -> None:
        """Let a balance go no further, if it has not ended."""
        subprocess.run(["btrfs", "balance", "cancel", self.point], check=False, capture_output=True)
        self.moving.wait()

    def balance_single(self) -> None:
        """Turn DUP into single."""
        _run("btrfs", "balance", "start", "-f", "-mconvert=single", "-sconvert=single", self.point)

    def grow(self) -> None:
        """Take all of the device."""
        _run("btrfs", "filesystem", "resize", "max", self.point)

    def shrink(self) -> None:
        """Leave the end of the device to others."""
        _run("btrfs", "filesystem", "resize", f"{300 * MIB}", self.point)

    def simple_quota(self) -> None:
        """BTRFS_IOC_QUOTA_CTL, command 4: btrfs-progs 6.2 has no word for it."""
        handle = os.open(self.point, os.O_RDONLY)
        try:
            fcntl.ioctl(handle, 0xC0109428, struct.pack("<QQ", 4, 0))
        finally:
            os.close(handle)

    def stuff(self) -> None:
        """Write until no room is left."""
        with (self.point / "stuffing").open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(self.chance.randbytes(MIB))
            except OSError:
                return
