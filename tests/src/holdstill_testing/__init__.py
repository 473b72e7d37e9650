"""Suites that holdstill plugins are held to, fakes and strategies."""

import pytest

# Before any suite is imported: else a suite installed editable shows bare AssertionErrors under older pytests.
pytest.register_assert_rewrite("holdstill_testing.suites")
