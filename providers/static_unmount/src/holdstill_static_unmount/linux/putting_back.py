"""Making mounts again, as they were. Looks at each before it acts, so that it can go on wherever it was stopped."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence

import attrs

from holdstill.spi.holds import UndoState
from holdstill_static_unmount.linux import shape
from holdstill_static_unmount.linux.kernel import Kernel
from holdstill_static_unmount.linux.table import Row


class CannotPutBack(Exception):
    """Not now, or not at all, as ``state`` says."""

    def __init__(self, message: str, state: UndoState = UndoState.UNKNOWN) -> None:
        super().__init__(message)
        self.state = state


def put_back(kernel: Kernel, wanted: Sequence[Row]) -> None:
    """Make each of ``wanted``, parents first, what it was. Raises ``CannotPutBack``."""
    for at, row in enumerate(wanted):
        try:
            _put_back_one(kernel, row, wanted[:at])
        except OSError as error:
            said = os.strerror(error.errno or 0)
            state = UndoState.BUSY if error.errno == errno.EBUSY else UndoState.UNKNOWN
            raise CannotPutBack(f"{row.path} cannot be mounted again: {said}", state) from error


def _put_back_one(kernel: Kernel, row: Row, earlier: Sequence[Row]) -> None:
    there = shape.find(row, kernel.rows())
    if there is not None and not _tied_right(kernel, row, there, earlier):
        kernel.unmount(there)
        there = shape.find(row, kernel.rows())
    if there is None:
        there = _make(kernel, row, earlier)
    if there.flags != row.flags:
        kernel.set_flags(row)
    _propagate(kernel, row, there, earlier)


def _make(kernel: Kernel, row: Row, earlier: Sequence[Row]) -> Row:
    stranger = next((each for each in reversed(kernel.rows()) if each.path == row.path), None)
    expected = stranger is None or stranger.id == row.parent or stranger.path in {each.path for each in earlier}
    if stranger is not None and not expected:
        raise CannotPutBack(
            f"something else is mounted on {row.path} now ({stranger.filesystem} from {stranger.source})",
            UndoState.REFUSED,
        )
    start = shape.origin(row, earlier)
    if start is not None:
        kernel.bind(shape.source_path(row, start), row)
    else:
        _mount(kernel, row)
    made = shape.find(row, kernel.rows())
    if made is None:
        raise CannotPutBack(f"{row.path} is not mounted, although the system says so")
    return made


def _mount(kernel: Kernel, row: Row) -> None:
    """With its options; with none, where the file system does not take again what it shows. Better so than not."""
    try:
        kernel.mount(row)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        kernel.mount(attrs.evolve(row, super_options="ro" if row.read_only else "rw"))


def _peer(row: Row, earlier: Sequence[Row], kind: str) -> Row | None:
    """The first of ``earlier`` that it shares with, or follows."""
    group = row.group(kind)
    return next((each for each in earlier if group and each.group("shared") == group), None)


def _tied_right(kernel: Kernel, row: Row, there: Row, earlier: Sequence[Row]) -> bool:
    """Is it tied to those that it was tied to, or can it be without being made anew?"""
    for kind in ("shared", "master"):
        peer = _peer(row, earlier, kind)
        now = shape.find(peer, kernel.rows()) if peer else None
        if now is not None:
            return now.group("shared") in (there.group("shared"), there.group("master")) and now.group("shared") != ""
    return True


def _propagate(kernel: Kernel, row: Row, there: Row, earlier: Sequence[Row]) -> None:
    shares, follows = _peer(row, earlier, "shared"), _peer(row, earlier, "master")
    if follows is not None:
        if not there.group("master"):
            kernel.propagate(row.path, "slave")
        if row.group("shared") and shares is None:
            kernel.propagate(row.path, "shared")
    elif row.group("shared") and shares is None:
        strangers = {each.group("shared") for old in earlier if (each := shape.find(old, kernel.rows())) is not None}
        if there.group("shared") in strangers - {""}:
            kernel.propagate(row.path, "private")  # out of the group it was bound from
            kernel.propagate(row.path, "shared")
        elif not there.group("shared"):
            kernel.propagate(row.path, "shared")
    elif not row.group("shared"):
        if there.group("shared") or there.group("master"):
            kernel.propagate(row.path, "private")
        if row.unbindable and not there.unbindable:
            kernel.propagate(row.path, "unbindable")
