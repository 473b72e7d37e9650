"""What verifications came to, kept in the repository. Hints for people and for policies: nothing else rests on them."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Container, Iterator
from typing import Final

import attrs

from holdstill.errors import Damaged, FormatTooNew, ObjectMissing
from holdstill.model.results import Verified
from holdstill.repository import canonical, envelope, layout
from holdstill.repository.fields import Fields
from holdstill.repository.layout import CHECKS, ObjectKind
from holdstill.repository.reading import stamp
from holdstill.repository.repository import Repository

#: a check names no more packs; there may be several of one verification
MOST_PACKS: Final = 1 << 16


@attrs.frozen
class Check:
    """What one verification came to."""

    at: str
    """RFC 3339 UTC with microseconds, by the clock of ``host``."""
    host: str
    images: tuple[str, ...] = ()
    hurt: tuple[str, ...] = ()
    read_data: bool = False
    """All data of ``images`` was read, not only looked for."""
    packs: tuple[str, ...] = ()
    """Packs that were read whole and are good."""


class Checks:
    """All that the target shows of them, and which are ``damaged``."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self.damaged: list[Damaged | FormatTooNew] = []
        self._by_key = dict(self._read())
        newest_last = sorted(self._by_key.values(), key=lambda check: check.at)
        self.of_image: dict[str, Check] = {}
        """The newest check of each image. One that found damage is not outdated by one that did not read all data."""
        for check in newest_last:
            for image in check.images:
                was = self.of_image.get(image)
                if was is None or image not in was.hurt or image in check.hurt or check.read_data:
                    self.of_image[image] = check
        self.of_pack: dict[str, str] = {pack: check.at for check in newest_last for pack in check.packs}
        """When each pack was last read and good."""

    def good(self) -> set[str]:
        """The ids of images whose last verification found nothing wrong."""
        return self.of_image.keys() - self.hurt()

    def hurt(self) -> set[str]:
        """The ids of images whose last verification found something wrong."""
        return {image for image, check in self.of_image.items() if image in check.hurt}

    def verified(self) -> dict[str, Verified]:
        """What is known of each image."""
        return {
            image: Verified(check.at, check.host, image in check.hurt, check.read_data)
            for image, check in self.of_image.items()
        }

    def read_since(self, moment: dt.datetime) -> set[str]:
        """The packs that were read, and good, at that time or later."""
        least = stamp(moment)
        return {pack for pack, at in self.of_pack.items() if at >= least}

    def add(self, check: Check) -> None:
        """Keep one more."""
        key = layout.check_key(secrets.token_hex(16))
        body = canonical.encode(attrs.asdict(check))
        parts = envelope.seal(self._repository.digests, ObjectKind.CHECK, key, body)
        self._repository.target.put(key, parts)

    def tidy(self, packs: Container[str]) -> None:
        """Delete those that newer ones say everything of again. ``packs``: those that are still there."""
        current = {id(check) for check in self.of_image.values()}
        for key, check in self._by_key.items():
            newest = any(pack in packs and self.of_pack[pack] == check.at for pack in check.packs)
            if id(check) not in current and not newest:
                self._repository.target.delete(key)

    def _read(self) -> Iterator[tuple[str, Check]]:
        target = self._repository.target
        for key in sorted(listed.key for listed in target.list(CHECKS) if layout.is_check_key(listed.key)):
            try:
                yield key, self._check(key, target.get(key))
            except (Damaged, FormatTooNew) as damage:
                self.damaged.append(damage)
            except ObjectMissing:
                continue

    def _check(self, key: str, data: bytes) -> Check:
        _, body = envelope.unseal(self._repository.digests, data, key, ObjectKind.CHECK)
        fields = Fields(canonical.decode(body, key), key)
        check = Check(
            at=fields.text("at"),
            host=fields.text("host"),
            images=fields.texts("images"),
            hurt=fields.texts("hurt"),
            read_data=fields.flag("read_data"),
            packs=fields.texts("packs"),
        )
        fields.done()
        return check
