"""The raw devices of this host, and whoever else can open raw devices."""

from __future__ import annotations

import errno
import os
import threading
from typing import Final, Protocol

from holdstill.errors import ReadFault, WriteFault
from holdstill.model.buffers import Buffer, Room
from holdstill.spi.reader import Reader
from holdstill.spi.writer import Writer
from holdstill_platforms.linux import refusals

#: the most that goes to or from a device in one call, bytes; some drivers take no more
_MOST: Final = 1 << 20


class Devices(Protocol):
    """Opens raw devices; a machine that is reached from afar is one."""

    def open_reader(self, device: str, size: int) -> Reader:
        """See ``Machine``."""
        ...

    def open_writer(self, device: str, size: int) -> Writer:
        """See ``Machine``."""
        ...


class LocalDevices:
    """Those of this host."""

    def open_reader(self, device: str, size: int) -> Reader:
        """A reader of a raw device. Raises ``VolumeError`` and its kinds."""
        return RawReader(RawDevice(device, size, os.O_RDONLY))

    def open_writer(self, device: str, size: int) -> Writer:
        """A writer of a raw device. Raises ``VolumeError`` and its kinds."""
        return RawWriter(RawDevice(device, size, os.O_RDWR))


class RawDevice:
    """An open character device: it moves whole sectors, to and from places that are multiples of them, and knows no
    cache. What is asked for otherwise is cut out of whole ones here.
    """

    def __init__(self, path: str, size: int, flags: int) -> None:
        """Of ``size`` bytes, as the system says; a device cannot always tell."""
        self.path = path
        self.size = size
        self.unit = 4096 if size % 4096 == 0 else 512
        self._edges = threading.Lock()
        try:
            self._fd = os.open(path, flags | getattr(os, "O_CLOEXEC", 0))
        except OSError as error:
            raise refusals.of_opening(path, error) from error

    def check(self, offset: int, length: int) -> None:
        """ValueError if it is closed, or if the range is not inside it."""
        if self._fd < 0:
            raise ValueError("it is closed")
        if offset < 0 or length < 0 or offset + length > self.size:
            raise ValueError(f"offset {offset}, length {length} is not inside {self.size} bytes")

    def readinto(self, offset: int, room: memoryview) -> None:
        """Fill ``room`` (flat, of bytes). Raises ``OSError``, with EIO where the device ends early."""
        done = 0
        while done < len(room):
            start = (offset + done) // self.unit * self.unit
            skip = offset + done - start
            count = min(len(room) - done, _MOST - skip)
            whole = -(-(skip + count) // self.unit) * self.unit
            room[done : done + count] = self._whole(start, whole)[skip : skip + count]
            done += count

    def write(self, offset: int, data: memoryview) -> None:
        """Write all of ``data`` (flat, of bytes). The lock: two threads may change parts of one sector."""
        done = 0
        while done < len(data):
            start = (offset + done) // self.unit * self.unit
            skip = offset + done - start
            count = min(len(data) - done, _MOST - skip)
            whole = -(-(skip + count) // self.unit) * self.unit
            piece = data[done : done + count]
            if skip or whole != count:
                with self._edges:
                    mended = bytearray(self._whole(start, whole))
                    mended[skip : skip + count] = piece
                    self._put(start, memoryview(mended))
            else:
                self._put(start, piece)
            done += count

    def sync(self) -> None:
        """What was written is on stable storage: the device's own cache is emptied where the system can."""
        os.fsync(self._fd)

    def close(self) -> None:
        """Let go of it. May be called twice."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _whole(self, offset: int, length: int) -> bytes:
        content = os.pread(self._fd, length, offset)
        while len(content) < length:
            more = os.pread(self._fd, length - len(content), offset + len(content))
            if not more:
                raise OSError(errno.EIO, "it gave fewer bytes than it holds")
            content += more
        return content

    def _put(self, offset: int, data: memoryview) -> None:
        done = 0
        while done < len(data):
            count = os.pwrite(self._fd, data[done:], offset + done)
            if not count:
                raise OSError(errno.EIO, "it takes no more bytes")
            done += count


class RawReader(Reader):
    """Reads a raw device of this host."""

    def __init__(self, device: RawDevice) -> None:
        self.size = device.size
        self.alignment = device.unit
        self._device = device

    def readinto(self, offset: int, buffer: Room) -> None:
        """Fill ``buffer`` with the bytes from ``offset`` on, or raise ``ReadFault`` naming that range."""
        room = memoryview(buffer).cast("B")
        self._device.check(offset, len(room))
        try:
            self._device.readinto(offset, room)
        except OSError as error:
            raise ReadFault(
                f"{len(room)} bytes at offset {offset} could not be read: {error.strerror or error}",
                offset=offset,
                length=len(room),
                subject=self._device.path,
                next_step="look into the system's log; `--on-read-error zero` images the rest",
            ) from error

    def close(self) -> None:
        """Let go of it."""
        self._device.close()


class RawWriter(Writer):
    """Writes a raw device of this host. A raw device punches no holes: zeros are written."""

    zero_grain = 64 << 10

    def __init__(self, device: RawDevice) -> None:
        self.size = device.size
        self.alignment = device.unit
        self._device = device
        self._lost = ""

    def write(self, offset: int, buffer: Buffer) -> None:
        """Write all of ``buffer`` at ``offset``, or raise ``WriteFault``."""
        data = memoryview(buffer).cast("B")
        self._device.check(offset, len(data))
        try:
            self._device.write(offset, data)
        except OSError as error:
            raise self._fault(f"{len(data)} bytes at offset {offset} could not be written", error) from error

    def zero(self, offset: int, length: int) -> None:
        """Write zeros."""
        self._device.check(offset, length)
        zeros = memoryview(bytes(min(length, _MOST)))
        for start in range(offset, offset + length, _MOST):
            self.write(start, zeros[: offset + length - start])

    def flush(self) -> None:
        """Everything written is on stable storage when this returns. Once failed, it fails for good."""
        self._device.check(0, 0)
        if self._lost:
            raise WriteFault(self._lost, subject=self._device.path)
        try:
            self._device.sync()
        except OSError as error:
            self._lost = f"what was written is not on stable storage ({error.strerror or error})"
            raise self._fault(self._lost, error) from error

    def reader(self) -> Reader:
        """A reader of what is stored: a raw device has no cache of the system's."""
        return RawReader(RawDevice(self._device.path, self.size, os.O_RDONLY))

    def close(self) -> None:
        """Let go of it."""
        self._device.close()

    def _fault(self, what: str, error: OSError) -> WriteFault:
        return WriteFault(
            f"{what}: {error.strerror or error}",
            subject=self._device.path,
            next_step="look into the system's log; restore to another volume",
        )
