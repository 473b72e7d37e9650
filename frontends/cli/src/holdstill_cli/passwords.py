"""Passwords from a file, a command, the environment or the terminal; never from the command line, which all can see."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

from holdstill.errors import PasswordMissing, UsageError
from holdstill.spi.passwords import Passwords

#: no password is longer; whatever is behind a name is read no further
_LONGEST: Final = 4096

Prompt = Callable[[str], str | None]


class GivenPasswords(Passwords):
    """One password, wherever the user said it is: an option first, then a variable, then whoever sits there."""

    def __init__(
        self, file: str | None, command: str | None, prompt: Prompt, variable: str = "HOLDSTILL_PASSWORD"
    ) -> None:
        """``variable``: how the names of the environment variables begin that stand in for the options."""
        self._prompt = prompt
        self._variable = variable
        given = [(name, value) for name, value in (("file", file), ("command", command)) if value is not None]
        if not given:
            names = {"file": f"{variable}_FILE", "command": f"{variable}_COMMAND", "text": variable}
            given = [(way, os.environ[name]) for way, name in names.items() if os.environ.get(name)]
        if len(given) > 1:
            ways = " and ".join(f"a {way}" if way != "text" else "a variable" for way, _ in given)
            raise UsageError(f"one password was asked for, and given by {ways}", next_step="Say it in one way only.")
        self._way, self._value = given[0] if given else ("", "")

    def is_given(self, url: str) -> bool:
        """See ``Passwords``."""
        return bool(self._way)

    def password(self, url: str) -> bytes:
        """See ``Passwords``. Raises ``UsageError`` for a file or a command that gives none."""
        given = self._given()
        return given if given is not None else _typed(self._prompt(f"password of {url}: "), url)

    def new_password(self, what: str) -> bytes:
        """A password that is to be one: typed twice, if it is typed."""
        given = self._given()
        if given is not None:
            return given
        first = _typed(self._prompt(f"new password of {what}: "), what)
        if _typed(self._prompt("the same once more: "), what) != first:
            raise UsageError("the two passwords differ", subject=what, next_step="Nothing was done. Try again.")
        return first

    def _given(self) -> bytes | None:
        match self._way:
            case "file":
                return _in_file(self._value)
            case "command":
                return _printed(self._value)
            case "text":
                return os.fsencode(self._value)
            case _:
                return None


class TwoPasswords(Passwords):
    """Of two repositories, each its own."""

    def __init__(self, own: Passwords, other_url: str, other: Passwords) -> None:
        self._own = own
        self._other_url = other_url
        self._other = other

    def is_given(self, url: str) -> bool:
        """See ``Passwords``."""
        return self._of(url).is_given(url)

    def password(self, url: str) -> bytes:
        """See ``Passwords``."""
        return self._of(url).password(url)

    def _of(self, url: str) -> Passwords:
        return self._other if url == self._other_url else self._own


def _typed(text: str | None, what: str) -> bytes:
    if text is None:
        raise PasswordMissing(
            "it is sealed, and nobody is there to be asked for the password",
            subject=what,
            next_step="use --password-file, --password-command or one of the variables HOLDSTILL_PASSWORD...",
        )
    if not text:
        raise PasswordMissing("no password was typed", subject=what)
    return text.encode(errors="surrogateescape")


def _in_file(name: str) -> bytes:
    try:
        with Path(name).open("rb") as file:
            return _line(file.read(_LONGEST + 2), name)
    except OSError as error:
        raise UsageError(f"no password can be read: {error.strerror}", subject=name) from error


def _printed(command: str) -> bytes:
    try:
        words = shlex.split(command)
        done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)  # noqa: S603  # no shell
    except (OSError, ValueError, IndexError) as error:
        raise UsageError(f"the password's command cannot be run: {error}", subject=command) from error
    if done.returncode:
        raise UsageError(f"the password's command failed with {done.returncode}", subject=command)
    return _line(done.stdout, command)


def _line(data: bytes, where: str) -> bytes:
    """Without the end of the line, which an editor puts there."""
    password = data.removesuffix(b"\n").removesuffix(b"\r")
    if not password or len(password) > _LONGEST:
        raise UsageError("there is no password" if not password else "that is too long for a password", subject=where)
    return password
