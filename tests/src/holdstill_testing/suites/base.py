"""What every suite is: a plain class whose obligations cannot be dropped in silence."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any


class ConformanceSuite:
    """Subclass a suite and override its fixtures; leave its tests alone.

    A test of a suite is an obligation. A subclass that cannot keep one yet says so where everybody sees it: it
    overrides the test with a method that calls ``super()`` and carries
    ``@pytest.mark.xfail(reason="...", strict=True)``; a race that it loses now and then says ``strict=False``.
    Any other override is refused when the class is made.
    """

    def __init_subclass__(cls, **more: Any) -> None:  # as the data model has it
        """Refuse overrides that would make the suite quiet."""
        super().__init_subclass__(**more)
        if cls.__dict__.get("__test__", True) is False:
            raise TypeError(f"{cls.__name__} is never collected (__test__ is False): its obligations would go untested")
        for name in sorted(dir(cls)):
            owners = [owner for owner in cls.__mro__ if name in vars(owner)]
            promised = any(issubclass(owner, ConformanceSuite) for owner in owners[1:])
            if name.startswith("test") and promised and not _admitted(vars(owners[0])[name]):
                raise TypeError(
                    f"{owners[0].__name__}.{name} overrides an obligation of {owners[-1].__name__}; call super() and "
                    'mark it @pytest.mark.xfail(reason="...", strict=True), or leave it alone'
                )


def _admitted(test: object) -> bool:
    """Does the override carry an xfail with a reason, which says whether it is strict?"""
    marks = getattr(test, "pytestmark", ())
    return any(mark.name == "xfail" and "strict" in mark.kwargs and mark.kwargs.get("reason") for mark in marks)


def together(*actions: Callable[[], Any]) -> list[Any]:
    """Run the actions in threads that start at once; their results, in order. The first exception comes out."""
    start = threading.Barrier(len(actions))

    def run(action: Callable[[], Any]) -> Any:  # whatever the action answers
        start.wait()
        return action()

    with ThreadPoolExecutor(len(actions)) as pool:
        futures = [pool.submit(run, action) for action in actions]
    return [future.result() for future in futures]
