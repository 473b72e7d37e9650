"""The names and numbers of the format: keys, object kinds, blob kinds, limits. All sizes are bytes."""

from __future__ import annotations

import enum
import re
from typing import Final

#: the first bytes of every object
MAGIC: Final = b"HOLDSTIL"
#: what this release writes; it reads nothing newer
VERSION: Final = 1

ID_SIZE: Final = 32
#: stands for a blob of zeros only, which is never stored
ZERO_ID: Final = bytes(ID_SIZE)

DEFAULT_CHUNK_SIZE: Final = 256 << 10
SMALLEST_CHUNK: Final = 64 << 10
LARGEST_CHUNK: Final = 4 << 20
DEFAULT_PACK_SIZE: Final = 16 << 20
DEFAULT_FANOUT: Final = 1024
LARGEST_PACK: Final = 128 << 20
LARGEST_FANOUT: Final = 1 << 16
#: no blob is larger, encoded or not: what a hostile row may make a reader allocate
LARGEST_BLOB: Final = 16 << 20

CONFIG: Final = "config"
LEDGER: Final = "ledger/"
PACKS: Final = "packs/"
INDEX: Final = "index/"
IMAGES: Final = "images/"
LISTS: Final = "lists/"
MARKS: Final = "marks/"
CHECKS: Final = "checks/"
ROLLS: Final = "rolls/"
KEYS: Final = "keys/"

_RANDOM = r"(?P<random>[0-9a-f]{32})"
_NUMBER = r"(?P<number>[0-9]{10})"
_OF_PACK: Final = re.compile(f"packs/{_NUMBER}/{_RANDOM}")
_OF_SEGMENT: Final = re.compile(f"index/{_NUMBER}/{_RANDOM}")
_OF_COMMIT: Final = re.compile(f"images/{_NUMBER}-{_RANDOM}")
_OF_LIST: Final = re.compile(f"lists/{_RANDOM}")
_OF_MARK: Final = re.compile(f"marks/{_NUMBER}-{_RANDOM}/[0-9]{{10}}")
_OF_ROLL: Final = re.compile(r"rolls/64/(?P<place>[0-9]{10})")
_OF_CHECK: Final = re.compile(f"checks/{_RANDOM}")
_OF_KEY: Final = re.compile(f"keys/{_RANDOM}")


class ObjectKind(enum.IntEnum):
    """The byte after the magic: what an object is."""

    CONFIG = 1
    LEDGER = 2
    IMAGE = 3
    VOID = 4
    SEGMENT = 5
    PACK = 6
    UPKEEP = 7
    LIST = 8
    ROLL = 9
    PULSE = 10
    KEY = 11
    MARK = 12
    CHECK = 13


class BlobKind(enum.IntEnum):
    """What a blob in a pack is. Each kind has a key of its own for its ids."""

    CHUNK = 1
    PAGE = 2
    MAP = 3


def ledger_key(number: int) -> str:
    """Where the ledger's entry ``number`` is; the first is 1."""
    return f"ledger/{number:010d}"


def pack_key(number: int, random: str) -> str:
    """A pack of the writer ``number``; ``random`` is 32 hexadecimal digits."""
    return f"packs/{number:010d}/{random}"


def segment_key(number: int, random: str) -> str:
    """An index segment of the writer ``number``."""
    return f"index/{number:010d}/{random}"


def commit_key(number: int, nonce: str) -> str:
    """Where the writer ``number`` commits, or is voided."""
    return f"images/{number:010d}-{nonce}"


def list_key(random: str) -> str:
    """A list of condemned packs that is too long for its entry in the ledger."""
    return f"lists/{random}"


def roll_key(place: int) -> str:
    """Copies of the ledger's entries ``64 * (place - 1) + 1`` to ``64 * place``."""
    return f"rolls/64/{place:010d}"


def pulse_key(number: int) -> str:
    """What the writer ``number`` overwrites while it lives."""
    return f"pulse/{number:010d}"


def mark_key(number: int, nonce: str, place: int) -> str:
    """The mark ``place`` (from 1) of the image of writer ``number``."""
    return f"marks/{number:010d}-{nonce}/{place:010d}"


def check_key(random: str) -> str:
    """What one verification came to."""
    return f"checks/{random}"


def key_key(random: str) -> str:
    """The repository's keys, wrapped by one password."""
    return f"keys/{random}"


def split_pack_key(key: str) -> tuple[int, str] | None:
    """Number and random of a pack's key; None if it is none."""
    return _split(_OF_PACK, key)


def split_segment_key(key: str) -> tuple[int, str] | None:
    """Number and random of a segment's key; None if it is none."""
    return _split(_OF_SEGMENT, key)


def split_commit_key(key: str) -> tuple[int, str] | None:
    """Number and nonce of a commit key; None if it is none."""
    return _split(_OF_COMMIT, key)


def split_roll_key(key: str) -> int | None:
    """The place of a roll; None if it is none."""
    found = _OF_ROLL.fullmatch(key)
    return int(found["place"]) if found else None


def is_list_key(key: str) -> bool:
    """Is it the key of a list of condemned packs?"""
    return _OF_LIST.fullmatch(key) is not None


def is_mark_key(key: str) -> bool:
    """Is it the key of a mark?"""
    return _OF_MARK.fullmatch(key) is not None


def is_check_key(key: str) -> bool:
    """Is it the key of what a verification came to?"""
    return _OF_CHECK.fullmatch(key) is not None


def is_key_key(key: str) -> bool:
    """Is it where the repository's keys are, wrapped by some password?"""
    return _OF_KEY.fullmatch(key) is not None


def _split(pattern: re.Pattern[str], key: str) -> tuple[int, str] | None:
    found = pattern.fullmatch(key)
    return (int(found["number"]), found["random"]) if found else None
