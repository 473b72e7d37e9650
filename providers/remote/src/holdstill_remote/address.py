"""Where a machine is: ``ssh://[user@]host[:port]``."""

from __future__ import annotations

import re
from typing import Final

import attrs

from holdstill.errors import UsageError

_FORM: Final = re.compile(
    r"ssh://(?:(?P<user>[^@:/\s]+)@)?(?P<host>\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9_.][A-Za-z0-9_.-]*)(?::(?P<port>\d{1,5}))?",
    re.IGNORECASE,
)


@attrs.frozen
class Address:
    """What is given to ``ssh``. Empty: as its own configuration says."""

    host: str
    user: str = ""
    port: str = ""

    @property
    def url(self) -> str:
        """As it is written in images and journals."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"ssh://{self.user}{'@' * bool(self.user)}{host}{':' * bool(self.port)}{self.port}"

    @property
    def words(self) -> list[str]:
        """The arguments of ``ssh`` that name it. None of them can be taken for an option."""
        return [
            *(["-p", self.port] if self.port else []),
            *(["-o", f"User={self.user}"] if self.user else []),
            "--",
            self.host,
        ]


def parse(url: str) -> Address:
    """Raises ``UsageError`` for what is no such URL, a password in it included."""
    found = _FORM.fullmatch(url)
    if found is None or (found["user"] or "").startswith("-") or int(found["port"] or 1) not in range(1, 65536):
        raise UsageError(
            "it names no machine",
            subject=re.sub(r":[^@/]*@", ":***@", url),
            next_step="name it like ssh://root@host:22; logins are by key, so there is no password in it",
        )
    return Address(found["host"].strip("[]"), found["user"] or "", found["port"] or "")
