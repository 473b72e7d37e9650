"""A second tiny repository, which nobody disturbs: images are copied out of it and into it."""

from __future__ import annotations

from holdstill.model.requests import CopyRequest
from holdstill.model.results import ImageCopy
from holdstill.pipeline.transfer import Transfer
from holdstill.repository.repository import Repository
from holdstill.spi.conversation import Conversation
from holdstill_testing.fakes.memory_target import MemoryTarget
from holdstill_testing.tiny import again, back_up, content, restored, tiny


class Vault:
    """Has keys of its own, and with a password it is sealed."""

    def __init__(self, password: bytes | None = None) -> None:
        self._target = MemoryTarget("fake://vault")
        self._made = tiny(self._target, password)
        self._images: dict[str, str] = {}

    def open(self) -> Repository:
        """The repository."""
        return again(self._made, self._target)

    def image(self, letters: str) -> str:
        """The id of an image in it of a volume that holds these letters."""
        if letters not in self._images:
            self._images[letters] = back_up(self.open(), letters).id
        return self._images[letters]

    def copy(self, source: Repository, target: Repository, image: str) -> ImageCopy:
        """Copy this image of ``source``. A listing that does not show it: the image was not found."""
        [done] = Transfer(source, target, Conversation(), workers=1).run(CopyRequest("", (image,))).copies
        return done

    def check(self) -> None:
        """Every image in it restores to what its volume held."""
        repository = self.open()
        for image in repository.images():
            assert restored(repository, image) == content(image.volume.path)
