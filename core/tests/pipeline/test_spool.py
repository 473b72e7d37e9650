"""The spool gives back what it was given, as often as asked, in the memory of one block."""

import resource
import threading
import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdstill.errors import HoldstillError
from holdstill.model.extents import LIMIT, Extents, union_of
from holdstill.model.windows import joined
from holdstill.pipeline.spool import MapSpool
from holdstill_testing import torture
from holdstill_testing.strategies import streams

TIB = 1 << 40
thorough = settings(
    max_examples=torture.rounds(1000), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@thorough
@given(
    stream=st.sampled_from([1, 512, 4096, 1 << 40]).flatmap(
        lambda unit: streams(90).map(lambda parts: [Extents(part.starts * unit, part.ends * unit) for part in parts])
    )
)
def test_what_goes_in_comes_out_as_often_as_asked(tmp_path, stream):
    parts = list(joined(stream))
    with MapSpool(tmp_path) as spool:
        for part in parts:
            spool.append(part)
        for _ in range(2):
            assert union_of(spool.windows()) == union_of(parts)
        assert spool.total == sum(part.total for part in parts)
        assert spool.runs == sum(len(part) for part in parts)


def fragmented(first: int, runs: int, step: int) -> Extents:
    starts = np.arange(first, first + runs, dtype=np.int64) * step
    return Extents(starts, starts + step // 2)


@pytest.mark.parametrize("runs", [65535, 65536, 65537, 200_000])
def test_windows_of_any_size_come_out_bounded_and_in_order(tmp_path, runs):
    with MapSpool(tmp_path) as spool:
        for part in (
            fragmented(0, runs, 8192),
            Extents.none(),
            fragmented(runs, 1, 8192),
            fragmented(runs + 1, 9, 8192),
        ):
            spool.append(part)
        windows = list(spool.windows())
        assert all(0 < len(window) <= 65536 for window in windows)
        assert all(one.end < int(other.starts[0]) for one, other in pairwise(windows))
        assert union_of(windows) == fragmented(0, runs + 10, 8192)


def test_numbers_of_every_size(tmp_path):
    odd = Extents.of((0, 1), (3, 300), (70_000, 1 << 33), (LIMIT - 7, 7))
    with MapSpool(tmp_path) as spool:
        spool.append(odd)
        assert union_of(spool.windows()) == odd


def test_cleared_it_is_empty_and_can_be_filled_again(tmp_path):
    with MapSpool(tmp_path) as spool:
        spool.append(fragmented(0, 70_000, 4096))
        spool.clear()
        assert (spool.total, spool.runs, list(spool.windows())) == (0, 0, [])
        spool.append(Extents.whole(5))
        assert list(spool.windows()) == [Extents.whole(5)]


def test_sixteen_tebibytes_in_pieces_stay_flat(tmp_path):
    """Eight million runs would be 128 MiB as arrays; what a billion take is the same."""
    per_window, windows = 1 << 16, torture.rounds(1280)
    tracemalloc.start()
    try:
        with MapSpool(tmp_path) as spool:
            for number in range(windows):
                spool.append(fragmented(number * per_window, per_window, 4096))
            count = sum(len(window) for window in spool.windows())
            _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == per_window * windows
    assert peak < 16 << 20


def test_threads_may_read_at_once(tmp_path):
    with MapSpool(tmp_path) as spool:
        for number in range(5):
            spool.append(fragmented(number * 40_000, 40_000, 4096))
        first = next(spool.windows())
        counts = []
        readers = [threading.Thread(target=lambda: counts.append(sum(map(len, spool.windows())))) for _ in range(4)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
    assert counts == [200_000] * 4
    assert len(first) == 65536


def test_it_leaves_no_file_behind(tmp_path):
    spool = MapSpool(tmp_path)
    spool.append(fragmented(0, 70_000, 4096))
    assert list(tmp_path.iterdir()) == []
    spool.close()
    spool.close()


def test_a_full_scratch_folder_is_told(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    dice = np.random.default_rng(torture.seed())
    edges = np.cumsum(dice.integers(1, 1 << 30, 131_072))
    with MapSpool(tmp_path) as spool:
        resource.setrlimit(resource.RLIMIT_FSIZE, (65536, hard))
        try:
            with pytest.raises(HoldstillError, match="cannot be spooled") as caught:
                spool.append(Extents(edges[0::2].copy(), edges[1::2].copy()))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.subject == str(tmp_path)
