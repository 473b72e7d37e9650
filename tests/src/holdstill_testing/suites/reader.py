"""What a reader is held to. The numbers are those of the obligations of ``holdstill.spi.reader.Reader``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from holdstill.errors import ReadFault
from holdstill.spi.reader import Reader
from holdstill_testing.suites.base import ConformanceSuite, together
from holdstill_testing.torture import dice, rounds


class ReaderSuite(ConformanceSuite):
    """Override ``reader`` and ``truth``; where it can be arranged, ``faulty`` and ``change`` too."""

    @pytest.fixture
    def reader(self) -> Reader:
        """An open reader of a volume of at least 64 KiB."""
        raise LookupError("override the `reader` fixture")

    @pytest.fixture
    def truth(self) -> bytes:
        """What is on that volume, found by another road; best without zeros, and with a last block of its own."""
        raise LookupError("override the `truth` fixture")

    @pytest.fixture
    def faulty(self) -> tuple[Reader, int, int]:
        """A reader, and the offset and length of the one range of its volume that cannot be read."""
        pytest.skip("no reader with a range that cannot be read")

    @pytest.fixture
    def change(self) -> Callable[[int, bytes], None]:
        """Writes to the volume by another road than the reader."""
        pytest.skip("nothing here can change the volume")

    # --- 1: whole, or an error ------------------------------------------------------------------

    def test_1_it_reads_every_byte(self, reader: Reader, truth: bytes) -> None:
        """At once, and piece by piece, up to the last one."""
        assert reader.size == len(truth)
        assert reader.read(0, reader.size) == truth
        assert reader.read(reader.size - 1, 1) == truth[-1:]
        step = reader.alignment * 3
        pieces = [reader.read(at, min(step, reader.size - at)) for at in range(0, reader.size, step)]
        assert b"".join(pieces) == truth

    def test_1_it_fills_the_whole_buffer_and_nothing_else(self, reader: Reader, truth: bytes) -> None:
        """A bytearray, a memoryview into the middle of one, an empty one."""
        room = bytearray(b"\xa5" * 9000)
        reader.readinto(1000, memoryview(room)[100:8900])
        assert room == b"\xa5" * 100 + truth[1000:9800] + b"\xa5" * 100
        reader.readinto(0, bytearray())
        reader.readinto(reader.size, bytearray())

    @pytest.mark.parametrize("places", [(0, 1), (-1, 2), (-4096, 4097), (1 << 40, 1)])
    def test_1_outside_the_volume_is_a_value_error(self, reader: Reader, places: tuple[int, int]) -> None:
        """``places``: bytes past the end, and length."""
        with pytest.raises(ValueError, match=r"\S"):
            reader.read(reader.size + places[0], places[1])

    def test_1_before_the_volume_is_a_value_error(self, reader: Reader) -> None:
        """Also where a part of the range is inside."""
        for offset, length in ((-1, 1), (-1, 2), (-4096, 8192)):
            with pytest.raises(ValueError, match=r"\S"):
                reader.read(offset, length)

    def test_1_what_cannot_be_read_is_a_fault(self, faulty: tuple[Reader, int, int]) -> None:
        """Named, for every range that touches it; never zeros, never short; and what is beside it can be read."""
        reader, offset, length = faulty
        for start, end in ((offset, offset + length), (0, reader.size), (offset + length - 1, offset + length)):
            with pytest.raises(ReadFault) as told:
                reader.read(start, end - start)
            assert told.value.offset < offset + length
            assert told.value.offset + told.value.length > offset
        reader.read(0, offset)
        reader.read(offset + length, reader.size - offset - length)

    # --- 2: what is there now -------------------------------------------------------------------

    def test_2_it_returns_what_is_there_now(
        self, reader: Reader, truth: bytes, change: Callable[[int, bytes], None]
    ) -> None:
        """Also where it has read before."""
        assert reader.read(4096, 4096) == truth[4096:8192]
        for filling in (b"\x11", b"\x22"):
            change(4096, filling * 4096)
            assert reader.read(0, 16384) == truth[:4096] + filling * 4096 + truth[8192:16384]

    # --- 3: any offset and length ---------------------------------------------------------------

    def test_3_any_offset_and_length_will_do(self, reader: Reader, truth: bytes) -> None:
        """One byte around every kind of edge, and many at random."""
        chance, edge = dice("reads"), reader.alignment
        cuts = [
            (at + nudge, length) for at in (edge, 2 * edge) for nudge in (-1, 0, 1) for length in (1, edge, edge + 1)
        ]
        cuts += [(at, chance.randint(0, reader.size - at)) for at in chance.choices(range(reader.size), k=rounds(500))]
        for offset, length in cuts:
            assert reader.read(offset, length) == truth[offset : offset + length]

    def test_3_its_hints_are_sound(self, reader: Reader) -> None:
        """The alignment is a power of two; what it calls a hole reads as zeros and lies where it was asked for."""
        assert reader.alignment > 0
        assert reader.alignment & (reader.alignment - 1) == 0
        assert reader.preferred_read > 0
        for start, end in ((0, reader.size), (1000, 60_000)):
            for offset, length in reader.holes(start, end):
                assert start <= offset < offset + length <= end
                assert reader.read(offset, length) == bytes(length)

    # --- 4: threads -----------------------------------------------------------------------------

    def test_4_threads_do_not_disturb_each_other(self, reader: Reader, truth: bytes) -> None:
        """Each gets its own bytes."""

        def read(mine: int) -> None:
            chance = dice(f"thread {mine}")
            for _ in range(rounds(1000)):
                offset = chance.randrange(reader.size)
                length = min(chance.randint(1, 20_000), reader.size - offset)
                assert reader.read(offset, length) == truth[offset : offset + length]

        together(*(partial(read, mine) for mine in range(4)))

    # --- 5: closing -----------------------------------------------------------------------------

    def test_5_it_may_be_closed_twice_and_then_reads_nothing(self, reader: Reader) -> None:
        """Reading a closed reader is a mistake of the caller."""
        with reader as entered:
            assert entered is reader
        reader.close()
        with pytest.raises(ValueError, match=r"\S"):
            reader.read(0, 1)

    def test_changed_is_a_sentence_or_nothing(self, reader: Reader) -> None:
        """Nothing was changed here, so it is nothing."""
        reader.read(0, 4096)
        assert reader.changed() is None
