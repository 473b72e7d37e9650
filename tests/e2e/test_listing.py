"""Listing the images of a repository that is hurt."""

from __future__ import annotations

import pytest

from holdstill.errors import Damaged
from holdstill.model.events import Warned
from holdstill_testing.conversations import Agreeing


def test_a_damaged_record_hides_no_other_image(bench, volume):
    first, second = bench.back_up(volume), bench.back_up(volume)
    (record,) = bench.repository.glob(f"images/*-{first.image}")
    record.chmod(0o600)
    record.write_bytes(record.read_bytes()[:-1])
    talk = Agreeing()

    assert [image.id for image in bench.engine.images(bench.url, talk)] == [second.image]

    assert [event.id for event in talk.told if isinstance(event, Warned)] == ["repository.damaged"]
    with pytest.raises(Damaged):
        bench.engine.images(bench.url)
