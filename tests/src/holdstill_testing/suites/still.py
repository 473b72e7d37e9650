"""What a still is held to. The numbers are those of the obligations of ``holdstill.spi.still.Still``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import pytest

from holdstill.errors import ReadFault
from holdstill.model.volume import Consistency, Mode
from holdstill.spi.still import Fill, HoldRequest, Still
from holdstill_testing.fakes.recorded_holds import RecordedHolds
from holdstill_testing.suites.base import ConformanceSuite

MakeStill = Callable[[HoldRequest], Still]
Acquired = Callable[[], set[str]]


class StillSuite(ConformanceSuite):
    """Override ``make_still``, ``truth`` and ``acquired``; where it can be arranged, ``change``, ``lose``, ``heal``."""

    @pytest.fixture
    def make_still(self) -> MakeStill:
        """Makes a still of a volume of at least 64 KiB, as the plugin's hook does."""
        raise LookupError("override the `make_still` fixture")

    @pytest.fixture
    def truth(self) -> bytes:
        """What was on that volume before anything here began, found by another road."""
        raise LookupError("override the `truth` fixture")

    @pytest.fixture
    def acquired(self) -> Acquired:
        """Everything that now exists on the system and that a still here would have acquired, by another road."""
        raise LookupError("override the `acquired` fixture")

    @pytest.fixture
    def change(self) -> Callable[[int, bytes], None]:
        """Writes to the volume itself."""
        pytest.skip("nothing here can change the volume")

    @pytest.fixture
    def lose(self) -> Callable[[], None]:
        """Makes the still untrue: fills its space, removes it, writes to the volume."""
        pytest.skip("nothing here can make the still untrue")

    @pytest.fixture
    def heal(self) -> Callable[[], None]:
        """Takes back what ``lose`` did, as far as somebody outside could (the same name, made anew)."""
        return lambda: None

    @pytest.fixture
    def holds(self) -> RecordedHolds:
        """The journal."""
        return RecordedHolds()

    @pytest.fixture
    def still(self, make_still: MakeStill, holds: RecordedHolds) -> Iterator[Still]:
        """A still, released in the end."""
        made = make_still(HoldRequest("suite", holds))
        yield made
        made.release()

    # --- 1: what is read is the volume, at one instant ------------------------------------------

    def test_1_it_reads_as_the_volume_was(self, still: Still, truth: bytes) -> None:
        """By every reader, also by several at once."""
        with still.open_reader() as one, still.open_reader() as other:
            assert one.read(0, one.size) == truth
            one.close()
            assert other.read(0, other.size) == truth

    def test_1_it_does_not_change_with_the_volume(
        self, still: Still, truth: bytes, change: Callable[[int, bytes], None]
    ) -> None:
        """Or it says that it did."""
        if still.consistency is Consistency.FUZZY:
            pytest.skip("the still claims nothing")
        with still.open_reader() as reader:
            assert reader.read(0, 8192) == truth[:8192]
            change(4096, b"\x5a" * 4096)
            change(32768, b"\xa5" * 4096)
            assert still.untrue() or reader.read(0, reader.size) == truth

    # --- 3: once untrue, untrue for good --------------------------------------------------------

    def test_3_it_is_true_while_nothing_happens(self, still: Still) -> None:
        """Before, between and after reads."""
        assert still.untrue() is None
        with still.open_reader() as reader:
            reader.read(0, reader.size)
            assert still.untrue() is None
        assert still.untrue() is None

    def test_3_once_untrue_untrue_for_good(
        self, still: Still, lose: Callable[[], None], heal: Callable[[], None]
    ) -> None:
        """With the same reason, whatever is done to the system afterwards."""
        lose()
        why = still.untrue()
        assert why
        heal()
        assert still.untrue() == why

    def test_3_a_lost_still_is_not_read(self, still: Still, lose: Callable[[], None]) -> None:
        """As soon as it is known to be lost its readers fail."""
        with still.open_reader() as reader:
            lose()
            assert still.untrue()
            with pytest.raises(ReadFault):
                reader.read(0, reader.size)

    # --- 4: written down before it exists, and given back ---------------------------------------

    def test_4_it_is_written_down_before_it_exists(self, make_still: MakeStill, acquired: Acquired) -> None:
        """A death between the two leaves a line without a thing, never a thing without a line."""
        before = acquired()

        def look(_data: Mapping[str, str]) -> None:
            assert _unwritten(acquired() - before, holds) == set()

        holds = RecordedHolds(before_hold=look)
        make_still(HoldRequest("order", holds)).release()

    def test_4_all_that_exists_is_written_down(self, still: Still, holds: RecordedHolds, acquired: Acquired) -> None:
        """Each thing is named by an open line, with the words an administrator would type."""
        assert _unwritten(acquired(), holds) == set()
        assert all(line.kind and line.by_hand for line in holds.lines)

    def test_4_release_gives_everything_back(
        self, make_still: MakeStill, holds: RecordedHolds, acquired: Acquired
    ) -> None:
        """What exists, and the lines in the journal. Twice is harmless."""
        before = acquired()
        still = make_still(HoldRequest("release", holds))
        with still.open_reader() as reader:
            reader.read(0, 4096)
        still.release()
        assert acquired() == before
        assert not holds.open_lines
        still.release()
        assert acquired() == before

    def test_4_release_after_an_exception(
        self, make_still: MakeStill, holds: RecordedHolds, acquired: Acquired
    ) -> None:
        """A read that failed, or was interrupted, keeps nothing."""
        before = acquired()
        still = make_still(HoldRequest("exception", holds))
        with pytest.raises(ValueError, match=r"\S"), still.open_reader() as reader:
            reader.read(reader.size, 4096)
        with pytest.raises(KeyboardInterrupt), still.open_reader() as reader:
            raise KeyboardInterrupt
        still.release()
        assert acquired() == before
        assert not holds.open_lines

    def test_4_release_of_a_lost_still(
        self, make_still: MakeStill, holds: RecordedHolds, acquired: Acquired, lose: Callable[[], None]
    ) -> None:
        """Gives back what is left of it."""
        before = acquired()
        still = make_still(HoldRequest("suite", holds))
        lose()
        still.untrue()
        still.release()
        assert acquired() <= before
        assert not holds.open_lines

    @pytest.mark.parametrize("failure", [OSError("no space"), KeyboardInterrupt()], ids=["error", "interrupt"])
    def test_4_what_fails_half_way_is_given_back(
        self, make_still: MakeStill, acquired: Acquired, failure: BaseException
    ) -> None:
        """Whichever step of the journal fails: what exists then is still written down, or gone."""
        before = acquired()
        for step in range(1, 50):
            holds = RecordedHolds(fail_at=step, failure=failure)
            try:
                still = make_still(HoldRequest(f"step-{step}", holds))
            except BaseException:  # the failure itself, or whatever it was turned into
                assert _unwritten(acquired() - before, holds) == set()
                continue
            holds.fail_at = 0
            still.release()
            return
        pytest.fail("it still fails at the 50th step of the journal")

    # --- what it says of itself -----------------------------------------------------------------

    def test_it_says_what_it_is(self, still: Still) -> None:
        """A mode that it is held in, a consistency, and how full it is."""
        assert isinstance(still.mode, Mode)
        assert still.mode is not Mode.AUTO
        assert isinstance(still.consistency, Consistency)
        fill = still.fill()
        assert fill is None or isinstance(fill, Fill)
        assert fill is None or 0 <= fill.used <= fill.size


def _unwritten(things: set[str], holds: RecordedHolds) -> set[str]:
    """Those that no open line of the journal names."""
    names = {value for line in holds.open_lines for value in line.data.values()}
    return {thing for thing in things if not any(thing == name or thing.endswith(f"/{name}") for name in names)}
