"""A volume as a platform knows it."""

from __future__ import annotations

import abc

from holdstill.errors import VolumeBusy
from holdstill.model.volume import VolumeFacts
from holdstill.spi.machine import Machine
from holdstill.spi.reader import Reader
from holdstill.spi.writer import Writer


class Volume(abc.ABC):
    """What ``identify`` hands back: the facts, and the ways in and out. Holds nothing open itself."""

    facts: VolumeFacts
    machine: Machine | None = None
    """Where it is; None: on this host. Then ``facts.device`` is its path there, and ``facts.path`` and
    ``facts.identity`` begin with the machine's URL.
    """

    @abc.abstractmethod
    def open_reader(self, *, exclusive: bool) -> Reader:
        """A reader of the volume itself.

        ``exclusive``: for as long as the reader is open nobody else may change the volume, as far as the platform can
        say so (O_EXCL on a
        device, a lease on a file); where it cannot *prevent* it, ``changed()`` of the reader *notices* it. Raises
        ``VolumeBusy`` naming who has
        it. Not exclusive: read as it is, whoever writes; ``changed()`` is then not asked.
        """

    @abc.abstractmethod
    def open_writer(self) -> Writer:
        """A writer of the volume, always exclusive. Raises ``VolumeBusy`` for anything mounted or held."""

    def carries(self, path: str) -> bool:
        """Does the file or directory ``path`` live on this volume, through any layer the platform can see (a loop
        file on it, a device-mapper device on it, a file system spread over it)?

        ``path`` need not exist: the nearest directory that does is asked. Never raises; what cannot be seen is False.
        The core asks it for its own journal, cache, repository and code before anything is held or written.
        """
        return False

    def users(self) -> tuple[str, ...]:
        """The processes that use it, by where it is mounted or by its device, each in words; none where nobody can be
        seen. Raises ``VolumeError`` where the system would not say.
        """
        return ()

    def unmount(self) -> None:
        """Unmount every mount of the volume, for a restore that was told to (``--unmount``). Raises ``VolumeBusy``."""
        raise VolumeBusy(
            "this platform cannot unmount it for you",
            subject=self.facts.path,
            next_step="unmount it, then restore again",
        )
