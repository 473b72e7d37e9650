"""A volume in a regular file, with nothing but the standard library: what core itself can image and restore to."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from holdstill.errors import RestoreRefused, VolumeDenied, VolumeError, VolumeMissing, VolumeUnusable, WriteFault
from holdstill.model.volume import VolumeFacts, VolumeKind
from holdstill.pipeline.plainreader import PlainFileReader
from holdstill.pipeline.plainwriter import PlainFileWriter
from holdstill.plugins.catalogue import would_help
from holdstill.spi.reader import Reader
from holdstill.spi.volume import Volume
from holdstill.spi.writer import Writer


class PlainFileVolume(Volume):
    """A regular file. Nobody can be kept from writing to it, so an exclusive reader *notices* instead."""

    def __init__(self, facts: VolumeFacts) -> None:
        self.facts = facts

    def open_reader(self, *, exclusive: bool) -> Reader:
        """A reader; an exclusive one first settles the file, so that every later write shows (see the reader)."""
        return PlainFileReader(self.facts.device, settle=exclusive)

    def open_writer(self) -> Writer:
        """A writer of the file as it is, as long as it is."""
        return PlainFileWriter(self.facts.device)


def identify(path: str) -> PlainFileVolume:
    """The file that ``path`` names. Raises ``VolumeMissing``, ``VolumeDenied``, or ``VolumeUnusable`` for anything
    but a regular file.
    """
    try:
        status = Path(path).stat()
        device = str(Path(path).resolve())
    except (OSError, ValueError) as error:
        raise _unreachable(path, error) from error
    if not stat.S_ISREG(status.st_mode):
        raise _not_a_file(path, status.st_mode)
    return PlainFileVolume(
        VolumeFacts(
            path=str(Path(path).absolute()),
            device=device,
            kind=VolumeKind.FILE,
            size=status.st_size,
            identity=device,
        )
    )


def create_file(path: str, size: int) -> PlainFileVolume:
    """Make a sparse file of ``size`` bytes that only its owner can read, to restore into.

    Raises ``RestoreRefused`` if there is something already; ``WriteFault`` if the file system does not take a file of
    this size.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise RestoreRefused("there is a file already", subject=path, next_step="name a new file") from error
    except (OSError, ValueError) as error:
        raise _unreachable(path, error) from error
    try:
        os.truncate(fd, size)
    except OSError as error:
        Path(path).unlink()
        raise WriteFault(f"a file of {size} bytes cannot be made: {error.strerror}", subject=path) from error
    finally:
        os.close(fd)
    return identify(path)


def _unreachable(path: str, error: OSError | ValueError) -> VolumeError:
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return VolumeMissing("there is no such file", subject=path)
    if isinstance(error, PermissionError):
        return VolumeDenied("permission denied", subject=path, next_step="run as a user who may open it")
    return VolumeUnusable(getattr(error, "strerror", None) or str(error), subject=path)


def _not_a_file(path: str, mode: int) -> VolumeUnusable:
    kinds = {stat.S_IFDIR: "a directory", stat.S_IFBLK: "a block device", stat.S_IFCHR: "a character device"}
    kind = kinds.get(stat.S_IFMT(mode), "neither a file nor a block device")
    helper = would_help("platforms", sys.platform)
    return VolumeUnusable(
        f"{kind}; without a plugin for this system only regular files can be imaged",
        subject=path,
        next_step=f"install {helper.distribution}, if it is not" if helper else "",
    )
