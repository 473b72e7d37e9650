"""Workers that may be on other machines, behind the standard library's executor."""

from __future__ import annotations

import abc
from concurrent.futures import Executor
from typing import Self


class Workforce(abc.ABC):
    """What the hook ``workforce`` hands back.

    Obligations: what is submitted is a function of a module that workers can import, and arguments that can be pickled;
    it may be done twice, and by anybody. What a worker that dies was doing is done by another one. Nothing that is
    submitted is secret.
    """

    url: str
    executor: Executor
    width: int
    """How many tasks can be done at once."""

    @abc.abstractmethod
    def lost(self) -> str | None:
        """Why nothing that is under way will ever be answered, or None. Asked often; asks nobody itself."""

    @abc.abstractmethod
    def close(self) -> None:
        """Let go of the workers; what is under way may be forgotten. May be called twice."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
