"""One image of one repository into a writer of another: its chunks brought, its list of them made anew."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from typing import Final

import attrs

from holdstill.errors import Cancelled
from holdstill.model.image import Image, Origin
from holdstill.pipeline.counting import Counted
from holdstill.pipeline.twins import Twins
from holdstill.repository.blobs import BlobReader
from holdstill.repository.carrying import Carrier, Carriers
from holdstill.repository.digests import Ids
from holdstill.repository.hauling import Haul
from holdstill.repository.layout import ZERO_ID, BlobKind
from holdstill.repository.needs import Needs
from holdstill.repository.session import WriterSession
from holdstill.repository.trees import split
from holdstill.spi.conversation import Conversation
from holdstill.spi.meter import Meter

#: so many pages of ids wait at most for what is under way
_MOST_PAGES: Final = 64


@attrs.frozen
class _Page:
    """Following chunks of the image."""

    count: int
    each: tuple[bytes, ...]
    """Their ids here; none if all are zero."""
    known: dict[bytes, bytes]
    """The ids there of those that need not be brought."""

    def wanted(self) -> set[bytes]:
        """The others."""
        return set(self.each) - self.known.keys()


@attrs.define
class ImageCopier:
    """One image into one session."""

    _blobs: BlobReader
    _ids: Ids
    session: WriterSession
    _talk: Conversation
    _carriers: Carriers
    _twins: Twins | None
    _carried: Needs
    _pages: deque[_Page] = attrs.field(factory=deque, init=False)
    """Those that are not in the list yet."""
    _users: Counter[bytes] = attrs.field(factory=Counter, init=False)
    """In how many of these pages each id here is that is brought."""
    _names: dict[bytes, bytes] = attrs.field(factory=dict, init=False)
    """The ids there of what was."""
    _haul: Haul = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        here = Carrier(self._blobs, lambda _, plain: self._ids.chunk(plain), self.session.known, self.session.encode)
        self._haul = Haul(
            self.session,
            here,
            self._carriers,
            self._talk.cancelled,
            lambda read: [here.carry_one(read)],
            self._named,
            self._carried,
        )

    @property
    def read_size(self) -> int:
        """Bytes of packs that were read."""
        return self._haul.read_size

    @property
    def new_chunks(self) -> int:
        """Those that were not stored there."""
        return self._haul.new

    def commit(self, image: Image, origin: Origin) -> Image:
        """Copy it, and make the copy exist."""
        counted = Counted(self.session, self.session.chunks())
        meter = Meter(self._talk.tell, "copy", image.volume.path, image.sizes.volume_size)
        with self._haul:
            for first, count, ids in self._blobs.walk(image.chunks, BlobKind.CHUNK):
                self._ask(first, count, ids)
                self._append(counted, meter, image.chunk_size, most=_MOST_PAGES)
            self._haul.send()
            self._append(counted, meter, image.chunk_size, most=0)
        chunks = counted.tree.finish()
        writer = self.session.map_writer()
        for window in self._blobs.map(image):
            writer.add(window)
        blocks = writer.finish()
        self.session.flush()
        if self._talk.cancelled():
            raise Cancelled("cancelled")
        return self.session.commit(
            attrs.evolve(
                image,
                signer="",
                origin=origin,
                chunks=chunks,
                map=blocks,
                sizes=attrs.evolve(image.sizes, stored_size=self.session.stored_size, image_size=counted.encoded_size),
                new_chunks=self.new_chunks,
                reused_chunks=max(0, counted.chunks - self.new_chunks),
            )
        )

    def _ask(self, first: int, count: int, ids: bytes | None) -> None:
        each = tuple(split(ids)) if ids is not None else ()
        page = _Page(count, each, {ZERO_ID: ZERO_ID} | self._known_names(first, list(each)))
        self._pages.append(page)
        wanted = page.wanted()
        fresh = [here for here in dict.fromkeys(each) if here in wanted and not self._users[here]]
        self._users.update(wanted)
        self._haul.ask(BlobKind.CHUNK, fresh)

    def _known_names(self, first: int, each: list[bytes]) -> dict[bytes, bytes]:
        if self._twins is None or not each:
            return {}
        wanted = set(each)
        names = {here: there for here, there in self._twins.names(first, len(each)).items() if here in wanted}
        known = self.session.known(BlobKind.CHUNK, list(names.values()))
        return {here: there for (here, there), flag in zip(names.items(), known, strict=True) if flag}

    def _named(self, names: Iterable[tuple[bytes, bytes]]) -> None:
        self._names.update(names)

    def _append(self, counted: Counted, meter: Meter, chunk_size: int, most: int) -> None:
        """The pages of which everything has arrived; of the others at most so many stay."""
        while self._pages:
            page = self._pages[0]
            if any(here not in self._names for here in page.wanted()):
                if len(self._pages) <= most:
                    return
                self._haul.wait()
                continue
            self._pages.popleft()
            self._finish(page, counted)
            meter.advance(page.count * chunk_size, self.session.stored_size)

    def _finish(self, page: _Page, counted: Counted) -> None:
        if not page.each:
            counted.append_zeros(page.count)
            return
        counted.append(b"".join(page.known.get(here) or self._names[here] for here in page.each))
        for here in page.wanted():
            self._users[here] -= 1
            if not self._users[here]:
                del self._users[here], self._names[here]
