"""The one table of preferences: what there is, what it may be, and what of the engine it drives."""

from __future__ import annotations

import enum
import re
import shlex
import sys
from typing import Final, TypeAlias

import attrs

from holdstill.model.choices import (
    ANY_PROVIDER,
    NO_PROVIDER,
    READ_ALONG,
    OnNoSnapshot,
    StaticMethod,
    provider_settings,
)
from holdstill.model.requests import OnReadError
from holdstill.model.sizes import LARGEST, size, space
from holdstill.model.volume import Mode

Value: TypeAlias = str | int | float | bool


class Group(enum.StrEnum):
    """Which page of a preferences editor it belongs on."""

    GENERAL = "general"
    SNAPSHOT = "snapshot"


class Type(enum.StrEnum):
    """What its value is."""

    CHOICE = "choice"
    SIZE = "size"
    """Bytes; may be written with a unit."""
    SPACE = "space"
    """Bytes, or a share of the volume: ``20%``. Empty: as much as whoever makes the snapshot thinks right."""
    SECONDS = "seconds"
    BOOLEAN = "boolean"
    COMMAND = "command"
    """A command line, split as a shell would, run without one. Empty: none."""
    NAME = "name"
    """One word. Empty: none."""
    SETTINGS = "settings"
    """Words like ``provider.setting=value``: what the provider alone understands. Empty: none."""


@attrs.frozen
class Preference:
    """One preference."""

    name: str
    group: Group
    type: Type
    default: Value
    """On this platform."""
    help: str
    drives: str
    """The field of a request that it fills where the request itself says nothing: ``BackupRequest.mode``."""
    choices: tuple[str, ...] = ()
    most: int = 0
    """Seconds."""
    platforms: tuple[str, ...] = ()
    """Where it has an effect, as ``sys.platform`` begins; none named: everywhere. It is accepted everywhere."""
    needs: Mode | None = None
    """Without an installed provider that holds volumes like this it has no effect."""

    @property
    def allowed(self) -> str:
        """Its values, in words."""
        match self.type:
            case Type.CHOICE:
                return ", ".join(self.choices)
            case Type.SIZE:
                return "a number of bytes, or text like 64K, 1M or 2GiB"
            case Type.SPACE:
                return "1% to 100% of the volume, or a size like 512M, or empty for the provider's own rule"
            case Type.SECONDS:
                return f"a number of seconds, more than 0 and at most {self.most}"
            case Type.BOOLEAN:
                return "true or false"
            case Type.COMMAND:
                return "a command line whose quotes are closed, or empty for none"
            case Type.NAME:
                return "one word of letters, digits, - and _, or empty for none"
            case Type.SETTINGS:
                return "words like provider.setting=value, or empty for none"

    def value(self, given: object) -> Value:
        """What was given, from an options file, a program or as text, as what it means. Raises ValueError."""
        match self.type, given:
            case Type.CHOICE, str() if given in self.choices:
                return str(given)
            case Type.BOOLEAN, bool():
                return given
            case Type.BOOLEAN, str() if given.lower() in _BOOLEANS:
                return _BOOLEANS[given.lower()]
            case Type.COMMAND, str() if "\0" not in given:
                shlex.split(given)
                return given
            case Type.NAME, str() if _NAME.fullmatch(given):
                return str(given)
            case Type.SETTINGS, str():
                return " ".join(f"{name}={value}" for name, value in provider_settings(given).items())
            case Type.SIZE, int() if not isinstance(given, bool) and 0 <= given <= LARGEST:
                return given
            case Type.SIZE, str():
                return size(given)
            case Type.SPACE, str():
                return space(given)
            case Type.SPACE, int() if not isinstance(given, bool) and 0 < given <= LARGEST:
                return str(given)
            case Type.SECONDS, str():
                return self._seconds(float(given))
            case Type.SECONDS, int() | float() if not isinstance(given, bool):
                return self._seconds(given)
        raise ValueError(f"{given!r} is not one of its values")

    def _seconds(self, given: float) -> Value:
        if not 0 < given <= self.most:
            raise ValueError(f"{given} seconds are too few or too many")
        return int(given) if given == int(given) else given


_NAME: Final = re.compile(r"[\w-]{0,64}", re.ASCII)
_BOOLEANS: Final = {"true": True, "yes": True, "false": False, "no": False}


def text(value: Value) -> str:
    """A value as the text that ``Preference.value`` reads."""
    match value:
        case bool():
            return "true" if value else "false"
        case _:
            return str(value)


def schema(platform: str = sys.platform) -> tuple[Preference, ...]:
    """Every preference, with the defaults of a platform (as ``sys.platform`` names it), in an editor's order."""
    general, snapshot = Group.GENERAL, Group.SNAPSHOT
    # As TSM there: an image is static, unless somebody says otherwise.
    by_static = platform.startswith(("hp-ux", "sunos"))
    return (
        Preference(
            "gap-size",
            general,
            Type.SIZE,
            READ_ALONG,
            "Unused gaps up to this size are read along, which is faster than seeking; 0 takes every byte.",
            "BackupRequest.gap_size",
        ),
        Preference(
            "limit-rate",
            general,
            Type.SIZE,
            0,
            "How many bytes a second a backup reads at most; 0 is no limit.",
            "BackupRequest.limit_rate",
        ),
        Preference(
            "on-read-error",
            general,
            Type.CHOICE,
            OnReadError.FAIL.value,
            "What a range that cannot be read means: the end of the backup, or zeros and a warning.",
            "BackupRequest.on_read_error",
            choices=tuple(OnReadError),
        ),
        Preference(
            "retention-class",
            general,
            Type.NAME,
            "",
            "The class by which the image is kept: the image records it, for retention to read.",
            "BackupRequest.retention_class",
        ),
        Preference(
            "proof",
            general,
            Type.BOOLEAN,
            default=True,
            help="After a restore, read everything back past the cache and compare.",
            drives="RestoreRequest.proof",
        ),
        Preference(
            "mode",
            snapshot,
            Type.CHOICE,
            Mode.AUTO.value,
            "How a volume is held still while it is read.",
            "BackupRequest.mode",
            choices=tuple(Mode),
        ),
        Preference(
            "snapshot-provider",
            snapshot,
            Type.NAME,
            NO_PROVIDER if platform.startswith("sunos") else ANY_PROVIDER,
            "Which provider makes the snapshot: any, the one of this name, or none, with which auto means static.",
            "BackupRequest.snapshot_provider",
            needs=Mode.SNAPSHOT,
        ),
        Preference(
            "provider-settings",
            snapshot,
            Type.SETTINGS,
            "",
            "What one provider alone understands, like jfs2.extents=fscntl: its own page tells of it.",
            "BackupRequest.provider_settings",
        ),
        Preference(
            "on-no-snapshot",
            snapshot,
            Type.CHOICE,
            (OnNoSnapshot.STATIC if by_static else OnNoSnapshot.FAIL).value,
            "What mode auto does with a volume in use of which no snapshot can be made.",
            "BackupRequest.on_no_snapshot",
            choices=tuple(OnNoSnapshot),
        ),
        Preference(
            "static-method",
            snapshot,
            Type.CHOICE,
            StaticMethod.REMOUNT.value,
            "How a mounted volume is made static: made read-only, or unmounted and held while it is read.",
            "BackupRequest.static_method",
            choices=tuple(StaticMethod),
        ),
        Preference(
            "snapshot-cache-size",
            snapshot,
            Type.SPACE,
            "",
            "Where a snapshot keeps old blocks: a share of the volume, a size, or empty for the provider's rule.",
            "BackupRequest.cache_size",
            platforms=("linux", "aix"),
            needs=Mode.SNAPSHOT,
        ),
        Preference(
            "snapshot-cache-growth",
            snapshot,
            Type.BOOLEAN,
            default=True,
            help="Whether that space may be made larger when it is nearly full and there is more.",
            drives="BackupRequest.cache_growth",
            platforms=("linux", "aix"),
        ),
        Preference(
            "changed-blocks",
            snapshot,
            Type.BOOLEAN,
            default=False,
            help="Keep the last snapshot where it can tell what changed (LVM2 thin), and read only that the next time.",
            drives="BackupRequest.changed_blocks",
            platforms=("linux",),
        ),
        Preference(
            "freeze-limit",
            snapshot,
            Type.SECONDS,
            60,
            "How long a freeze may hold the volume's writers; an image that takes longer is not committed.",
            "BackupRequest.freeze_limit",
            most=3600,
            platforms=("linux", "aix"),
        ),
        Preference(
            "presnapshotcmd",
            snapshot,
            Type.COMMAND,
            "",
            "Run before the volume is held; if it fails there is no image.",
            "BackupRequest.pre_command",
        ),
        Preference(
            "postsnapshotcmd",
            snapshot,
            Type.COMMAND,
            "",
            "Run as soon as the volume's users may go on, also if the one before failed; failing is a warning.",
            "BackupRequest.post_command",
        ),
        Preference(
            "command-timeout",
            snapshot,
            Type.SECONDS,
            600,
            "How long each of these two commands may take.",
            "BackupRequest.command_limit",
            most=86400,
        ),
    )
