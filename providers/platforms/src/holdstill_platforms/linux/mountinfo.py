"""The mount tables: our own, and those of other mount namespaces as far as they can be seen."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs

from holdstill.model.volume import Mount
from holdstill_platforms.linux import proc

#: the tables of so many other processes are looked into; a host with more of them has O_EXCL to fall back on
NAMESPACE_LIMIT: Final = 256


@attrs.frozen
class MountRow:
    """One line of a mountinfo file (Documentation/filesystems/proc.rst, 3.5)."""

    id: int
    parent: int
    device: int
    """``st_dev`` of the file system's superblock; of no block device if its major number is 0."""
    root: str
    path: str
    options: str
    tags: tuple[str, ...]
    """``shared:N``, ``master:N`` ...: how mounting and unmounting propagates."""
    filesystem: str
    source: str
    super_options: str
    namespace: str = ""

    def as_mount(self) -> Mount:
        """The same in the model's words."""
        return Mount(
            path=self.path,
            filesystem=self.filesystem,
            options=self.options,
            read_only="ro" in self.super_options.split(","),
            root=self.root,
            namespace=self.namespace,
        )


def parse(text: str, namespace: str = "") -> list[MountRow]:
    """The rows of a mountinfo text. Lines that are none are left out."""
    return [row for line in text.split("\n") if (row := _row(line, namespace)) is not None]


def _row(line: str, namespace: str) -> MountRow | None:
    fields = line.split(" ")
    try:
        dash = fields.index("-", 6)
        own_id, parent, device, root, path, options = fields[:6]
        filesystem, source, super_options = fields[dash + 1 : dash + 4]
        major, minor = device.split(":")
        return MountRow(
            id=int(own_id),
            parent=int(parent),
            device=os.makedev(int(major), int(minor)),
            root=proc.unescape(root),
            path=proc.unescape(path),
            options=options,
            tags=tuple(fields[6:dash]),
            filesystem=proc.unescape(filesystem),
            source=proc.unescape(source),
            super_options=super_options,
            namespace=namespace,
        )
    except (ValueError, OverflowError):
        return None


def own() -> list[MountRow]:
    """The mounts of our own namespace."""
    return parse(proc.text("/proc/self/mountinfo"))


def others() -> list[MountRow]:
    """The mounts of every other mount namespace in sight, each told once. ``namespace`` is a process that is in it.

    A process may hide which namespace it is in and still show its mounts: mount ids are unique on the host, so what
    we have seen already is known by them.
    """
    seen = {row.id for row in own()}
    found: list[MountRow] = []
    for process in _strangers():
        rows = [row for row in parse(proc.text(f"/proc/{process}/mountinfo"), process) if row.id not in seen]
        seen.update(row.id for row in rows)
        found += rows
    return found


def _strangers() -> Iterator[str]:
    seen = {_namespace("self")}
    told = 0
    for process in filter(str.isdigit, proc.names("/proc")):
        namespace = _namespace(process)
        if namespace in seen:
            continue
        if namespace is not None:
            seen.add(namespace)
        yield process
        told += 1
        if told == NAMESPACE_LIMIT:
            return


def _namespace(process: str) -> str | None:
    try:
        return str(Path(f"/proc/{process}/ns/mnt").readlink())
    except OSError:
        return None


def row_at(path: str, rows: list[MountRow]) -> MountRow | None:
    """The mount that ``path`` lies on, of ``rows`` (our own), by the kernel's own mount id.

    A path cannot say it: one mount may hide another.
    """
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        told = proc.text(f"/proc/self/fdinfo/{fd}", 4096)
    finally:
        os.close(fd)
    wanted = next((line.split()[1] for line in told.splitlines() if line.startswith("mnt_id:")), "")
    return next((row for row in rows if str(row.id) == wanted), None)


def below(tops: list[MountRow], rows: list[MountRow]) -> list[MountRow]:
    """Every mount of ``rows`` that hangs, directly or not, under one of ``tops`` and is none of them itself."""
    children: dict[tuple[str, int], list[MountRow]] = {}
    for row in rows:
        children.setdefault((row.namespace, row.parent), []).append(row)
    seen = {(row.namespace, row.id) for row in tops}
    found: list[MountRow] = []
    waiting = list(tops)
    while waiting:
        row = waiting.pop()
        for child in children.get((row.namespace, row.id), []):
            if (child.namespace, child.id) not in seen:
                seen.add((child.namespace, child.id))
                found.append(child)
                waiting.append(child)
    return sorted(found, key=lambda row: (row.namespace, row.path))
