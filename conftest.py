"""What holds for every test, wherever it lives."""

from __future__ import annotations

import signal
from types import FrameType

from hypothesis import HealthCheck, settings

#: real servers, for whichever test asks
pytest_plugins = ("holdstill_testing.server_fixtures",)


def _stay(_signal: int, _frame: FrameType | None) -> None:
    """Nothing: but unlike a signal that is ignored, a handler is not inherited by the programs that tests start."""


def pytest_configure() -> None:
    """No test has a time of its own: a busy host makes no example wrong. And programs that tests start must hear
    signals, also when whoever started pytest ignores them (nohup, a job in the background).
    """
    settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("untimed")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _stay)
