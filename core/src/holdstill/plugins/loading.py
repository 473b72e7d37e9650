"""Finding plugins and loading them one by one: a broken one is kept, with its reason, and stops no other."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs

from holdstill.plugins.catalogue import owner_of
from holdstill.plugins.hookspecs import PROJECT
from holdstill.trust import distrusted, distrusted_code, is_root

#: load only these (names of entry points, comma-separated; empty: none)
ONLY: Final = "HOLDSTILL_PLUGINS"
#: load all but these
BLOCK: Final = "HOLDSTILL_BLOCK"


@attrs.frozen
class Origin:
    """Where a plugin comes from."""

    name: str
    distribution: str
    version: str

    def __str__(self) -> str:
        return f"plugin {self.name} of {self.distribution} {self.version}".rstrip()


@attrs.frozen
class Candidate:
    """A plugin that could be imported. What it says and implements is not checked yet."""

    origin: Origin
    module: object = attrs.field(repr=False)


@attrs.frozen
class BrokenPlugin:
    """A plugin that is installed and of no use, and why (a sentence without its end)."""

    origin: Origin
    reason: str


def installed() -> tuple[list[Candidate], list[BrokenPlugin]]:
    """Every plugin that is installed in this environment, by name; no order of installation matters."""
    found: list[Candidate] = []
    broken: list[BrokenPlugin] = []
    points = [(_origin(point), point) for point in importlib.metadata.entry_points(group=PROJECT)]
    usurped = dict(_usurped([origin for origin, _ in points]))
    for origin, point in sorted(points, key=lambda pair: (pair[0].name, pair[0].distribution)):
        reason = usurped.get(origin) or _switched_off(origin.name)
        if reason:
            broken.append(BrokenPlugin(origin, reason))
            continue
        try:
            if foreign := _writable_by_others(point):
                broken.append(BrokenPlugin(origin, f"root does not load it: {foreign}"))
                continue
            found.append(Candidate(origin, point.load()))
        except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever foreign code does, the others load
            broken.append(BrokenPlugin(origin, f"cannot be imported: {type(error).__name__}: {error}"))
    return found, broken


def _origin(point: importlib.metadata.EntryPoint) -> Origin:
    if point.dist is None:
        return Origin(point.name, "an unknown distribution", "")
    return Origin(point.name, point.dist.name, point.dist.version)


def _usurped(origins: list[Origin]) -> Iterator[tuple[Origin, str]]:
    """Who may not have the name it took. A name of ours stays ours; of two strangers nobody wins silently."""
    for origin in origins:
        rivals = [other for other in origins if other.name == origin.name and other != origin]
        owner = owner_of(origin.name)
        if not rivals or origin.distribution == owner:
            continue
        first = next((rival for rival in rivals if rival.distribution == owner), rivals[0])
        yield origin, f"duplicate of the plugin {first.name} of {first.distribution} {first.version}"


def _switched_off(name: str) -> str | None:
    only = os.environ.get(ONLY)
    if only is not None and name not in _names(only):
        return f"left out by {ONLY}"
    if name in _names(os.environ.get(BLOCK, "")):
        return f"switched off by {BLOCK}"
    return None


def _writable_by_others(point: importlib.metadata.EntryPoint) -> str | None:
    """Why root should not run this plugin's code, found out without running any of it.

    Where others can write to the engine itself, root runs their code already, and there is nothing to guard.
    """
    if not is_root() or distrusted(Path(__file__).parents[1]):
        return None
    return next(filter(None, _reasons(point.module.partition(".")[0])), None)


def _reasons(package: str) -> Iterator[str | None]:
    """Against the folders and the file of a top-level module or package; nothing if it cannot be found."""
    spec = importlib.util.find_spec(package)
    if spec is None:
        return
    yield from map(distrusted_code, map(Path, spec.submodule_search_locations or ()))
    if spec.origin and Path(spec.origin).exists():
        yield distrusted(Path(spec.origin))


def _names(listed: str) -> set[str]:
    return {name.strip() for name in listed.split(",")} - {""}
