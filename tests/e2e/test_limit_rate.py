"""A backup takes every byte that it reads of the volume from its pace; the clock of the pace is tried elsewhere."""

from __future__ import annotations

from holdstill.pipeline.pace import Pace
from holdstill_testing import volumes


def test_every_used_byte_is_paced(bench, tmp_path, monkeypatch):
    taken, limits = [], set()

    def take(self, size):
        taken.append(size)
        limits.add(self._limit)

    monkeypatch.setattr(Pace, "take", take)
    volume = volumes.ext4(tmp_path / "volume", 32 << 20)
    result = bench.back_up(volume, limit_rate=1 << 30)
    assert sum(taken) <= result.sizes.used_size
    assert sum(taken) + (1 << 20) > result.sizes.read_size
    assert limits == {1 << 30}
