"""What a storage target is held to. The numbers are those of the obligations of ``holdstill.spi.target.Target``."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Sequence
from functools import partial

import pytest

from holdstill.errors import ObjectMissing, TargetError, TargetUnfit
from holdstill.spi.target import KEY, Target, TargetProperties
from holdstill_testing.suites.base import ConformanceSuite, together
from holdstill_testing.torture import dice, rounds


class _Dying(Sequence[bytes]):
    """Parts whose second one never comes: the writer dies half-way."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, number: int) -> bytes:  # type: ignore[override]  # nobody slices parts
        if number == 0:
            return b"first half"
        raise KeyboardInterrupt


class TargetSuite(ConformanceSuite):
    """Override ``target``; where two connections to one place are possible, ``second`` too."""

    @pytest.fixture
    def target(self) -> Target:
        """A target that is ready for use and empty."""
        raise LookupError("override the `target` fixture")

    @pytest.fixture
    def second(self, target: Target) -> Target:
        """Another connection to the same place."""
        return target

    @pytest.fixture
    def exclusive(self, target: Target) -> Target:
        """The target, if it claims exclusive creates."""
        if not target.properties.put_if_absent:
            pytest.skip("the target does not claim put_if_absent")
        return target

    # --- 1: a put is atomic ---------------------------------------------------------------------

    def test_1_what_was_put_is_read_by_everybody(self, target: Target, second: Target) -> None:
        """Whole, from any connection, at once."""
        for length in (0, 1, 4096, 100_001):
            whole = dice(f"put {length}").randbytes(length)
            target.put("whole/object", [whole])
            assert target.get("whole/object") == whole
            assert second.get("whole/object") == whole
            assert second.size("whole/object") == length

    def test_1_parts_are_joined_in_order(self, target: Target) -> None:
        """Of any kind, any number, also empty ones, also none; and the caller may use its buffers again."""
        scratch = bytearray(b"34")
        target.put("parts", [b"12", b"", scratch, memoryview(b"-56-")[1:3], *[b"x"] * 3000])
        scratch[:] = b"??"
        assert target.get("parts") == b"123456" + b"x" * 3000
        target.put("parts", [])
        assert target.get("parts") == b""

    def test_1_a_new_object_appears_whole(self, target: Target, second: Target) -> None:
        """Who asks while it is being put sees all of it or nothing."""
        whole = dice("appears").randbytes(300_000)
        for number in range(rounds(100)):
            key = f"appear/{number}"
            looked, there = threading.Event(), threading.Event()

            def look(key: str = key, looked: threading.Event = looked, there: threading.Event = there) -> None:
                last = False
                try:
                    while not last:
                        last = there.is_set()
                        with contextlib.suppress(ObjectMissing):
                            assert second.get(key) == whole
                        looked.set()
                finally:
                    looked.set()

            def put(key: str = key, looked: threading.Event = looked, there: threading.Event = there) -> None:
                looked.wait()  # so that there is a look before it is there, always
                try:
                    target.put(key, [whole[:100], whole[100:]])
                finally:
                    there.set()

            together(look, put)

    def test_1_an_overwritten_object_is_the_old_or_the_new_one(self, target: Target, second: Target) -> None:
        """Never a mixture, never short, never gone."""
        versions = [bytes([65 + number]) * (100_000 - 9000 * number) for number in range(5)]
        target.put("over", [versions[0]])
        done = threading.Event()

        def overwrite() -> None:
            try:
                for number in range(rounds(300)):
                    target.put("over", [versions[number % 5]])
                    assert target.get("over") == versions[number % 5]
            finally:
                done.set()

        def look() -> None:
            while not done.is_set():
                assert second.get("over") in versions

        together(overwrite, look, look)

    def test_1_a_put_that_dies_leaves_nothing(self, target: Target) -> None:
        """Neither an object nor a name, and what was there before stays."""
        target.put("dying/old", [b"old"])
        for key in ("dying/old", "dying/new"):
            with pytest.raises(KeyboardInterrupt):
                target.put(key, _Dying())
        assert target.get("dying/old") == b"old"
        with pytest.raises(ObjectMissing):
            target.get("dying/new")
        assert {row.key for row in target.list("dying/")} <= {"dying/old"}

    def test_1_a_large_object_is_stored_whole(self, target: Target) -> None:
        """Eight MiB and a bit, in many pieces."""
        length = min((8 << 20) + 13, target.properties.largest)
        whole = dice("large").randbytes(length)
        target.put("large", [whole[at : at + 30_000] for at in range(0, length, 30_000)])
        assert target.size("large") == length
        assert target.get("large") == whole
        assert target.get_range("large", length - 5000, 5000) == whole[-5000:]

    # --- 2: creates are exclusive, or refused ---------------------------------------------------

    def test_2_a_second_create_is_refused(self, exclusive: Target) -> None:
        """And changes nothing; after a delete the key may be created again."""
        for content in (b"one", b"two"):
            assert exclusive.put_if_absent("create", [content]) is True
            assert exclusive.put_if_absent("create", [b"late"]) is False
            assert exclusive.get("create") == content
            exclusive.delete("create")

    def test_2_one_of_many_racing_creates_wins(self, exclusive: Target, second: Target) -> None:
        """Exactly one is told so, and the object is its own."""
        for number in range(rounds(300)):
            key, bids = f"race/{number}", [bytes([65 + racer]) * (5000 + racer) for racer in range(4)]
            racers = [partial((exclusive, second)[racer % 2].put_if_absent, key, [bids[racer]]) for racer in range(4)]
            won = together(*racers)
            assert won.count(True) == 1
            assert exclusive.get(key) == bids[won.index(True)]

    def test_2_a_create_appears_whole(self, exclusive: Target, second: Target) -> None:
        """Who reads what was just created by another sees all of it."""
        whole = dice("created").randbytes(200_000)
        for number in range(rounds(100)):
            key = f"created/{number}"

            def create_or_read(target: Target, key: str = key) -> None:
                if not target.put_if_absent(key, [whole[:100], whole[100:]]):
                    assert target.get(key) == whole

            together(partial(create_or_read, exclusive), partial(create_or_read, second))

    def test_2_what_is_not_claimed_is_refused(self, target: Target) -> None:
        """A target without exclusive creates does not imitate them."""
        if target.properties.put_if_absent:
            pytest.skip("the target claims put_if_absent")
        with pytest.raises(TargetUnfit):
            target.put_if_absent("imitated", [b"x"])

    # --- 3: reads are exact ---------------------------------------------------------------------

    def test_3_an_object_is_found_right_after_it_was_missing(self, target: Target, second: Target) -> None:
        """No cache remembers the "not found"."""
        for number in range(10):
            key = f"late/{number}"
            for asked in (target, second):
                with pytest.raises(ObjectMissing):
                    asked.get(key)
            target.put(key, [b"here"])
            for asked in (target, second):
                assert asked.get(key) == b"here"
                assert asked.get_range(key, 1, 2) == b"er"
                assert asked.size(key) == 4

    def test_3_ranges_are_exact(self, target: Target) -> None:
        """The whole, the middle, the last byte, nothing at the end, and a hundred at random."""
        whole, chance = dice("ranges").randbytes(70_000), dice("where")
        target.put("ranges", [whole])
        cuts = [(0, 70_000), (0, 1), (69_999, 1), (70_000, 0), (0, 0), (4095, 4098)]
        cuts += [(at, chance.randint(0, 70_000 - at)) for at in (chance.randrange(70_000) for _ in range(rounds(1000)))]
        for offset, length in cuts:
            assert target.get_range("ranges", offset, length) == whole[offset : offset + length]

    def test_3_a_range_past_the_end_is_an_error(self, target: Target) -> None:
        """Never a short answer, and never confused with a missing object."""
        target.put("short", [b"0123456789"])
        for offset, length in ((9, 2), (10, 1), (0, 11), (11, 0), (1 << 40, 1)):
            with pytest.raises(TargetError) as told:
                target.get_range("short", offset, length)
            assert not isinstance(told.value, ObjectMissing)

    # --- 4: errors say what is the case ---------------------------------------------------------

    def test_4_what_is_missing_has_its_own_error(self, target: Target) -> None:
        """From get, get_range and size; delete does not mind."""
        target.put("folder/object", [b"x"])
        for key in ("nothing", "folder/nothing", "folder", "no/such/folder"):
            for ask in (target.get, target.size, partial(target.get_range, offset=0, length=1)):
                with pytest.raises(ObjectMissing):
                    ask(key)
            target.delete(key)
        assert target.get("folder/object") == b"x"

    def test_4_what_was_deleted_is_gone(self, target: Target, second: Target) -> None:
        """For every connection; deleting it again is no error."""
        target.put("gone", [b"x"])
        assert second.get("gone") == b"x"
        target.delete("gone")
        target.delete("gone")
        for asked in (target, second):
            with pytest.raises(ObjectMissing):
                asked.get("gone")

    def test_4_keys_of_every_shape_are_kept_apart(self, target: Target) -> None:
        """One to four names of one to 64 letters, digits and dashes."""
        names = ["a", "0", "-", "a-", "z" * 64, "z" * 63 + "y", "0123456789"]
        deepest = "/".join(("9" * 64, "8" * 64, "7" * 64, "6" * 63))
        keys = [*names, *(f"f/{name}" for name in names), "f/g/h/i", f"{deepest}5", f"{deepest}6"]
        for key in keys:
            target.put(key, [key.encode()])
        assert [target.get(key) for key in keys] == [key.encode() for key in keys]

    @pytest.mark.parametrize(
        "key", ["", "/", "/a", "a/", "a//b", "..", "../a", "a/../b", "A", "a.b", "a/b/c/d/e", "x" * 65]
    )
    def test_4_other_names_are_refused(self, target: Target, key: str) -> None:
        """By every method, before anything is done."""
        for ask in (
            partial(target.put, key, [b"x"]),
            partial(target.get, key),
            partial(target.get_range, key, 0, 1),
            partial(target.size, key),
            partial(target.delete, key),
        ):
            with pytest.raises(ValueError, match="key"):
                ask()

    # --- 5: threads -----------------------------------------------------------------------------

    def test_5_threads_do_not_disturb_each_other(self, target: Target) -> None:
        """Each sees what it put, while all are at it."""

        def work(mine: int) -> None:
            for turn in range(rounds(50)):
                key, whole = f"threads/{mine}", f"{mine}/{turn}".encode() * 999
                target.put(key, [whole])
                assert target.get(key) == whole
                assert target.get_range(key, 3, 500) == whole[3:503]
                assert target.size(key) == len(whole)

        together(*(partial(work, mine) for mine in range(max(4, target.properties.connections))))

    # --- listings, and the rest -----------------------------------------------------------------

    def test_a_listing_shows_what_was_put_before(self, target: Target, second: Target) -> None:
        """All of it, with sizes, and nothing that was deleted: if the target claims fresh listings."""
        if not target.properties.fresh_listings:
            pytest.skip("the target does not claim fresh_listings")
        sizes = {f"list/{number:03d}": number for number in range(rounds(1000))} | {
            "list/deep/er": 7,
            "other/a": 1,
            "b": 2,
        }
        for key, size in sizes.items():
            target.put(key, [bytes(size)])
        target.put("list/gone", [b"x"])
        target.delete("list/gone")
        for asked, prefix in itertools.product((target, second), ("", "list/", "list/deep/", "other/", "none/")):
            rows = list(asked.list(prefix))
            assert sorted(row.key for row in rows) == sorted(key for key in sizes if key.startswith(prefix))
            assert all(row.size in {-1, sizes[row.key]} for row in rows)

    def test_a_listing_never_shows_what_is_being_put(self, target: Target, second: Target) -> None:
        """Only whole objects have names; what a put uses on its way has none that a listing shows."""
        done = threading.Event()

        def put() -> None:
            try:
                for number in range(rounds(200)):
                    target.put(f"busy/{number % 3}", [b"x" * 50_000, b"y"])
            finally:
                done.set()

        def look() -> None:
            while not done.is_set():
                for row in second.list("busy/"):
                    assert KEY.fullmatch(row.key)
                    assert row.key in {"busy/0", "busy/1", "busy/2"}
                    assert row.size in {-1, 50_001}

        together(put, look)

    @pytest.mark.parametrize("prefix", ["/", "a", "list/x", "../", "a//", "A/", "a/b/c/d/e/"])
    def test_only_folders_can_be_listed(self, target: Target, prefix: str) -> None:
        """A prefix that ends inside a name is refused."""
        with pytest.raises(ValueError, match="key"):
            list(target.list(prefix))

    def test_it_states_its_properties(self, target: Target) -> None:
        """And a URL to show."""
        assert isinstance(target.properties, TargetProperties)
        assert target.url

    def test_it_may_be_closed_twice(self, target: Target) -> None:
        """As everything."""
        with target as entered:
            assert entered is target
            target.put("closing", [b"x"])
        target.close()
