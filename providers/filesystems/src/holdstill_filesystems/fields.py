"""Reading on-disk structures by tables: where each field lies, how wide it is, and who says so.

Every access is checked against the bytes that are there. What is wrong becomes a ``StructureFault`` that names the
structure, the field and its offset on the volume in bytes.
"""

from __future__ import annotations

import struct
from typing import Any

import attrs
import numpy as np

from holdstill.errors import StructureFault
from holdstill.spi.reader import Reader


@attrs.frozen
class Layout:
    """A structure as it lies on the disk.

    ``fields`` are rows of name, offset in bytes, and ``struct`` format without the byte order. ``source`` is the
    document or header that says so.
    """

    name: str
    size: int
    order: str
    source: str
    fields: tuple[tuple[str, int, str], ...]

    def read(self, reader: Reader, offset: int) -> Record:
        """The structure at ``offset`` of the volume. Raises ``StructureFault`` where the volume ends before it."""
        if offset < 0 or offset + self.size > reader.size:
            raise StructureFault(
                f"the {self.name} at byte {offset} would lie outside the volume of {reader.size} bytes"
            )
        return self.parse(reader.read(offset, self.size), offset)

    def parse(self, data: bytes, offset: int) -> Record:
        """The structure whose first byte is ``data[0]``, read from ``offset``. Raises ``StructureFault`` if cut off."""
        if len(data) < self.size:
            raise StructureFault(f"the {self.name} at byte {offset} is cut off after {len(data)} bytes")
        values: dict[str, Any] = {}
        for name, at, form in self.fields:
            found = struct.unpack_from(self.order + form, data, at)
            values[name] = found[0] if len(found) == 1 else found
        return Record(self, offset, bytes(data[: self.size]), values)

    def columns(self, stride: int) -> np.dtype[np.void]:
        """The same table for numpy, for many structures ``stride`` bytes apart; what ends past ``stride`` is absent."""
        rows = [
            (name, at, np.dtype(self._for_numpy(form)))
            for name, at, form in self.fields
            if at + struct.calcsize(self.order + form) <= stride
        ]
        return np.dtype(
            {
                "names": [name for name, _, _ in rows],
                "offsets": [at for _, at, _ in rows],
                "formats": [form for _, _, form in rows],
                "itemsize": stride,
            }
        )

    def _for_numpy(self, form: str) -> str:
        """A ``struct`` format in numpy's words. Bytes lose their trailing zeros; they still compare as they should."""
        return f"S{form[:-1]}" if form.endswith("s") else self.order + form

    def offset_of(self, field: str) -> int:
        """Where ``field`` begins, in bytes from the structure's own start."""
        return next(at for name, at, _ in self.fields if name == field)


@attrs.frozen
class Record:
    """One structure that was read: ``record["field"]`` is its value."""

    layout: Layout
    offset: int
    data: bytes = attrs.field(repr=False)
    _values: dict[str, Any] = attrs.field(repr=False)

    def __getitem__(self, field: str) -> Any:  # noqa: ANN401  a field is an int, bytes or a tuple of ints, as its table says
        return self._values[field]

    def fault(self, field: str, because: str) -> StructureFault:
        """The error that says what is wrong with ``field``."""
        at = self.offset + self.layout.offset_of(field)
        value = self._values[field]
        shown = value.hex() if isinstance(value, bytes) else value
        return StructureFault(f"the {self.layout.name}'s {field} at byte {at} is {shown}: {because}")

    def require(self, field: str, holds: bool, because: str) -> None:  # noqa: FBT001  reads as the sentence it is
        """Raise ``fault`` unless it holds."""
        if not holds:
            raise self.fault(field, because)
