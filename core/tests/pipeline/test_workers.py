"""Work in threads: in order, bounded, ended by the first error or by a cancel."""

from __future__ import annotations

import threading
import time

import pytest

from holdstill.errors import Cancelled
from holdstill.pipeline.workers import in_order
from holdstill.spi.conversation import Conversation


def test_results_come_in_the_order_of_the_items():
    def work(item):
        time.sleep(0.002 * (item % 3))
        return item * item

    assert list(in_order(work, range(50), Conversation(), workers=4, item_size=1)) == [n * n for n in range(50)]


@pytest.mark.parametrize(("workers", "item_size", "most"), [(2, 1 << 20, 8), (64, 2 << 20, 64), (3, 1 << 30, 3)])
def test_no_more_items_are_taken_than_may_be_under_way(workers, item_size, most):
    taken = 0

    def items():
        nonlocal taken
        for item in range(300):
            taken += 1
            yield item

    results = in_order(lambda item: item, items(), Conversation(), workers=workers, item_size=item_size)
    for given, _ in enumerate(results):
        assert taken - given <= most


def test_the_first_error_ends_it_and_no_thread_is_left():
    def work(item):
        if item == 5:
            raise ValueError("five")
        return item

    with pytest.raises(ValueError, match="five"):
        list(in_order(work, range(1000), Conversation(), workers=4, item_size=1))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("holdstill")]


def test_a_cancel_ends_it():
    class Impatient(Conversation):
        asked = 0

        def cancelled(self):
            self.asked += 1
            return self.asked > 10

    with pytest.raises(Cancelled):
        list(in_order(lambda item: item, range(1000), Impatient(), workers=2, item_size=1))
