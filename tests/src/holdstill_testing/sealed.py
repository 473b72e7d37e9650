"""Sealed repositories whose passwords cost nothing to try."""

from __future__ import annotations

from typing import Any, Final

from holdstill.repository.keys import Cost
from holdstill.repository.opening import create, open_repository
from holdstill.repository.repository import Repository
from holdstill.spi.target import Target

CHUNK: Final = 65536
PASSWORD: Final = b"correct horse"
CHEAP: Final = Cost(n=2, r=1, p=1)


def make(target: Target, **more: Any) -> Repository:  # whatever ``create`` takes
    """A new one."""
    return create(target, chunk_size=CHUNK, password=PASSWORD, cost=CHEAP, **more)


def open_again(target: Target, password: bytes = PASSWORD) -> Repository:
    """As somebody who knows this password."""
    return open_repository(target, lambda: password)
