"""A scheduler of dask.distributed, seen as a standard executor (https://distributed.dask.org/en/stable/api.html)."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from distributed import Client

from holdstill.errors import UsageError, WorkersLost
from holdstill.spi.workforce import Workforce

#: where a scheduler listens unless told otherwise
_PORT: Final = 8786
#: seconds to wait for it to answer
_PATIENCE: Final = 10


class DaskWorkforce(Workforce):
    """A connection to the scheduler, who has the tasks of a worker that ends done by others."""

    def __init__(self, url: str) -> None:
        """Raises ``UsageError`` for what is no such URL, ``WorkersLost`` if nobody answers or there is no worker."""
        self.url = url
        self._client = _connected(url)
        threads = sum(self._client.nthreads().values())
        if not threads:
            self.close()
            raise WorkersLost("the scheduler has no workers", subject=url, next_step="start some (dask worker)")
        self.width = threads
        self.executor = self._client.get_executor(pure=False)

    def lost(self) -> str | None:
        """A client that had to connect again has forgotten what it had asked for."""
        return None if self._client.status == "running" else "the connection to the scheduler ended"

    def close(self) -> None:
        """Forget the tasks that are under way, and let go of the scheduler."""
        self._client.close()


def _connected(url: str) -> Client:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or _PORT
    except ValueError:
        host = None
    if not host or parts.path.strip("/") or parts.username or parts.query:
        raise UsageError("a scheduler is named like dask://HOST:8786", subject=url)
    try:
        return Client(f"tcp://{host}:{port}", timeout=_PATIENCE, set_as_default=False)
    except (OSError, TimeoutError) as error:
        raise WorkersLost(
            "no scheduler answers there",
            subject=url,
            next_step="start one (dask scheduler), or leave --executor away: threads of this host read",
        ) from error
