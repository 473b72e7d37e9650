"""The marks of one image: protected, protected no more, given up. A row of their own, so that no two of them race."""

from __future__ import annotations

import contextlib
import enum
import itertools
from collections.abc import Iterable, Iterator
from typing import Final

import attrs

from holdstill.errors import Damaged, FormatTooNew, ImageMissing, ImageProtected, ObjectMissing, TargetError
from holdstill.model.buffers import Buffer
from holdstill.model.image import Image
from holdstill.repository import canonical, envelope, layout
from holdstill.repository.digests import Digests
from holdstill.repository.fields import Fields
from holdstill.repository.layout import IMAGES, MARKS, ObjectKind
from holdstill.repository.presence import is_there
from holdstill.spi.target import Target

#: how often a mark without a reply is sent
_SENDS: Final = 4


class Mark(enum.StrEnum):
    """What a mark says. The last one of an image holds, and nothing follows ``DROP``."""

    PROTECT = "protect"
    UNPROTECT = "unprotect"
    DROP = "drop"


@attrs.frozen
class Marks:
    """The marks on the images of one repository. Each image's are numbered from 1, without gaps, and never deleted:
    whoever adds one has read all before it, so that an image is never protected and given up at once.
    """

    _target: Target
    _digests: Digests
    _exclusive: bool

    def protected(self, image: Image) -> bool:
        """Is it?"""
        return self._read(image)[1] is Mark.PROTECT

    def protect(self, image: Image) -> None:
        """Nothing deletes it from now on. Raises ``ImageMissing`` if it is being deleted."""
        if not self._put(image, Mark.PROTECT, unless=Mark.PROTECT):
            raise ImageMissing("it is being deleted", subject=f"image {image.id[:12]}")

    def unprotect(self, image: Image) -> None:
        """It may be deleted again."""
        if self._read(image)[1] is Mark.PROTECT:
            self._put(image, Mark.UNPROTECT, unless=Mark.UNPROTECT)

    def drop(self, image: Image) -> None:
        """From now on nobody can protect it. Raises ``ImageProtected`` if somebody has."""
        if not self._put(image, Mark.DROP, unless=Mark.DROP, never_after=Mark.PROTECT):
            raise ImageProtected(
                "it is protected", subject=f"image {image.id[:12]}", next_step="`holdstill unprotect` it first"
            )

    def given_up(self, images: Iterable[Image]) -> Iterator[Image]:
        """Those of these images whose last mark says so. Marks that are damaged, or that nobody shows, say nothing."""
        marked = {listed.key.removeprefix(MARKS).partition("/")[0] for listed in self._target.list(MARKS)}
        for image in images:
            if layout.commit_key(image.number, image.id).removeprefix(IMAGES) in marked:
                with contextlib.suppress(Damaged, FormatTooNew):
                    if self._read(image)[1] is Mark.DROP:
                        yield image

    def damaged(self) -> Iterator[Damaged | FormatTooNew]:
        """What is wrong with the marks that a listing shows."""
        keys = sorted(listed.key for listed in self._target.list(MARKS) if layout.is_mark_key(listed.key))
        yield from (gap for gap in _gaps(keys) if not is_there(self._target, gap.subject))
        for key in keys:
            try:
                self._mark(key)
            except (Damaged, FormatTooNew) as damage:
                yield damage
            except ObjectMissing:
                continue

    def _put(self, image: Image, mark: Mark, *, unless: Mark, never_after: Mark = Mark.DROP) -> bool:
        """Is the last mark ``mark`` (or ``unless``) now? False: it is ``never_after``."""
        end, last = self._read(image)
        while True:
            if last is unless:
                return True
            if last is never_after:
                return False
            if self._append(image, end + 1, mark):
                return True
            end, last = self._read(image, end, last)

    def _append(self, image: Image, place: int, mark: Mark) -> bool:
        """Is ``mark`` the image's mark ``place`` now, by us or by another? A lost reply is resolved by looking."""
        key = layout.mark_key(image.number, image.id, place)
        parts = self._sealed(key, mark)
        for left in reversed(range(_SENDS)):
            try:
                if self._create(key, parts):
                    return True
            except TargetError:
                if left == 0:
                    raise
            try:
                return self._mark(key) is mark
            except ObjectMissing:
                continue
        return False

    def _create(self, key: str, parts: list[Buffer]) -> bool:
        if self._exclusive:
            return self._target.put_if_absent(key, parts)
        if is_there(self._target, key):
            return False
        self._target.put(key, parts)
        return True

    def _sealed(self, key: str, mark: Mark) -> list[Buffer]:
        return envelope.seal(self._digests, ObjectKind.MARK, key, canonical.encode({"mark": mark.value}))

    def _read(self, image: Image, end: int = 0, last: Mark | None = None) -> tuple[int, Mark | None]:
        """The place of the last mark (0: there is none), and what it says."""
        while True:
            try:
                last = self._mark(layout.mark_key(image.number, image.id, end + 1))
            except ObjectMissing:
                # Later ones are there? Then this one was lost, unless others have added both since we looked.
                beyond = layout.mark_key(image.number, image.id, end + 2)
                if not is_there(self._target, beyond):
                    return end, last
                if not is_there(self._target, key := layout.mark_key(image.number, image.id, end + 1)):
                    raise Damaged("it is missing, though later ones are there", subject=key) from None
                continue
            end += 1

    def _mark(self, key: str) -> Mark:
        _, body = envelope.unseal(self._digests, self._target.get(key), key, ObjectKind.MARK)
        fields = Fields(canonical.decode(body, key), key)
        mark = fields.text("mark")
        if mark not in {each.value for each in Mark}:
            raise fields.wrong("mark", f"is {mark!r}, which is unknown")
        fields.done()
        return Mark(mark)


def _gaps(keys: list[str]) -> Iterator[Damaged]:
    """Marks that are missing before others of the same image."""
    for folder, group in itertools.groupby(keys, key=lambda key: key.rpartition("/")[0]):
        for place, key in enumerate(group, 1):
            if (expected := f"{folder}/{place:010d}") != key:
                yield Damaged("it is missing, though later ones are there", subject=expected)
                break
