"""The used blocks of a swap area: its first page, which holds the header with label, UUID and the list of bad pages.

Source: Linux ``include/linux/swap.h`` (``union swap_header``), util-linux ``include/swapheader.h``.
"""

from __future__ import annotations

from typing import Final

from holdstill.errors import StructureFault
from holdstill.model.blockmap import BlockMap, WholeVolume
from holdstill.model.extents import Extents
from holdstill.spi.reader import Reader
from holdstill_filesystems.fields import Layout
from holdstill_filesystems.tail import behind

PAGES: Final = tuple(size << 10 for size in (4, 8, 16, 32, 64))
#: what the last bytes of the first page say: a header of today, and one of before 1998, which is a bitmap
NEW, OLD = b"SWAPSPACE2", b"SWAP-SPACE"
_FIELDS: Final = (("version", 1024, "I"), ("last_page", 1028, "I"), ("bad_pages", 1032, "I"))
_LISTED_FROM: Final = 1536
#: how many pages a header of the old kind can speak of: one bit each, without the signature's own
_BITS_BEFORE: Final = 10


def used_blocks(reader: Reader) -> BlockMap | WholeVolume:
    """The map of the swap area in ``reader``. Raises ``StructureFault`` where the header makes no sense.

    A system in hibernation has another signature there, and is not asked for here.
    """
    page, signature = _signature(reader)
    notes = ["what is swapped out was left out"]
    end = _end(reader, page) if signature == NEW else min(reader.size, (page - _BITS_BEFORE) * 8 * page)
    return BlockMap(page, (Extents.of((0, page)), behind(reader, end, notes)), tuple(notes))


def _signature(reader: Reader) -> tuple[int, bytes]:
    """The size of a page, and what kind of header the first one holds."""
    for page in PAGES:
        if page <= reader.size:
            found = reader.read(page - len(NEW), len(NEW))
            if found in {NEW, OLD}:
                return page, found
    raise StructureFault("no page size puts a signature of swap where it should be")


def _end(reader: Reader, page: int) -> int:
    """Where the area ends, by a header in either byte order."""
    orders = [Layout("swap header", page, order, "Linux include/linux/swap.h", _FIELDS) for order in "<>"]
    header = next((read for layout in orders if (read := layout.read(reader, 0))["version"] == 1), None)
    if header is None:
        raise StructureFault("the swap header is of an unknown version, in either byte order")
    end = (int(header["last_page"]) + 1) * page
    fits = header["last_page"] > 0 and end <= reader.size
    header.require("last_page", fits, f"the volume has only {reader.size} bytes")
    most = (page - len(NEW) - _LISTED_FROM) // 4
    header.require("bad_pages", header["bad_pages"] <= most, f"the header has room for {most}")
    return end
