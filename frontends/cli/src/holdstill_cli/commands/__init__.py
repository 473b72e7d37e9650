"""The commands, in the order in which help lists them. Each file adds its part of the command line and runs it."""

from __future__ import annotations

from types import ModuleType
from typing import Final

from holdstill_cli.commands import (
    accept,
    backup,
    check,
    compat,
    completion,
    copy,
    delete,
    images,
    import_,
    init,
    key,
    map,  # noqa: A004  # the command's name
    preferences,
    protect,
    providers,
    prune,
    recover,
    restore,
    show,
    target,
    verify,
    volumes,
)

COMMANDS: Final[tuple[ModuleType, ...]] = (
    init,
    backup,
    import_,
    images,
    show,
    restore,
    verify,
    check,
    delete,
    prune,
    protect,
    key,
    copy,
    map,
    volumes,
    preferences,
    providers,
    target,
    recover,
    accept,
    compat,
    completion,
)
