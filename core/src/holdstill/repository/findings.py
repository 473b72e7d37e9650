"""What a verification has found so far."""

from __future__ import annotations

import attrs

from holdstill.errors import RepositoryError
from holdstill.model.results import Finding


@attrs.define
class Findings:
    """Problems by object, and the images that each hurts. Telling the same twice adds nothing."""

    _images: dict[tuple[str, str], set[str]] = attrs.field(factory=dict)

    def add(self, key: str, problem: str, image: str | None = None) -> None:
        """``key`` has this problem; ``image`` needs it."""
        hurt = self._images.setdefault((key, problem), set())
        if image is not None:
            hurt.add(image)

    def damage(self, error: RepositoryError, image: str | None = None) -> None:
        """What a check raised."""
        self.add(error.subject, error.message, image)

    def hurts(self, key: str, image: str) -> None:
        """``image`` needs what is wrong with ``key``, whatever that is."""
        for (found, _), hurt in self._images.items():
            if found == key:
                hurt.add(image)

    def hurt_images(self) -> tuple[str, ...]:
        """Every image that something is wrong with."""
        return tuple(sorted(set().union(*self._images.values())))

    def all(self) -> tuple[Finding, ...]:
        """Everything found, by key."""
        return tuple(
            Finding(key, problem, tuple(sorted(hurt))) for (key, problem), hurt in sorted(self._images.items())
        )
