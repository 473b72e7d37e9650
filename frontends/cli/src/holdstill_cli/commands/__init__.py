"""The commands, in the order in which help lists them. Each has a file that adds its part of the command line and runs
it, and that is loaded when it may be wanted.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from importlib import import_module
from types import ModuleType
from typing import Final

#: the file of each
_FILES: Final = {
    "init": "init",
    "backup": "backup",
    "import": "import_",
    "images": "images",
    "show": "show",
    "restore": "restore",
    "verify": "verify",
    "check": "check",
    "delete": "delete",
    "prune": "prune",
    "protect": "protect",
    "unprotect": "protect",
    "key": "key",
    "copy": "copy",
    "map": "map",
    "volumes": "volumes",
    "preferences": "preferences",
    "providers": "providers",
    "target": "target",
    "recover": "recover",
    "accept": "accept",
    "compat": "compat",
    "completion": "completion",
}
NAMES: Final = tuple(_FILES)


def files(among: Container[str]) -> Iterator[ModuleType]:
    """The files of those of the commands that are ``among`` some words."""
    for file in dict.fromkeys(file for name, file in _FILES.items() if name in among):
        yield import_module(f"{__name__}.{file}")
