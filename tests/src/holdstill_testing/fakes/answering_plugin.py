"""A plugin that answers as a test says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from holdstill.model.volume import FilesystemFacts
from holdstill.plugins.hookspecs import API as CURRENT
from holdstill.plugins.hookspecs import hookimpl
from holdstill.spi.provider import ProviderInfo
from holdstill.spi.reader import Reader
from holdstill.spi.still import HoldRequest
from holdstill.spi.volume import Volume


class Plugin:
    """Says ``answers[hook]``, calling it if it can be called; keeps in ``asked`` what it was asked."""

    API = CURRENT

    def __init__(
        self,
        name: str,
        *,
        schemes: Sequence[str] = (),
        filesystems: Sequence[str] = (),
        modes: Sequence[str] = (),
        settings: Sequence[str] = (),
        applies_here: bool = True,
        systems: Sequence[str] = (),
        **answers: Any,
    ) -> None:
        self.info = ProviderInfo(
            name,
            "",
            schemes=tuple(schemes),
            filesystems=tuple(filesystems),
            modes=tuple(modes),
            settings=tuple(settings),
            applies_here=applies_here,
            systems=tuple(systems),
        )
        self.answers = answers
        self.asked: list[tuple[Any, ...]] = []

    def answer(self, hook: str, *arguments: Any) -> Any:
        """What was given for this hook."""
        self.asked.append((hook, *arguments))
        given: Callable[..., Any] | Any = self.answers.get(hook)
        return given(*arguments) if callable(given) else given

    @hookimpl
    def provider_info(self) -> ProviderInfo:
        """The hook of this name."""
        return self.info

    @hookimpl
    def reach(self, url: str) -> Any:
        """The hook of this name."""
        return self.answer("reach", url)

    @hookimpl
    def identify(self, path: str) -> Any:
        """The hook of this name."""
        return self.answer("identify", path)

    @hookimpl
    def list_volumes(self) -> Any:
        """The hook of this name."""
        return self.answer("list_volumes")

    @hookimpl
    def check_host(self) -> Any:
        """The hook of this name."""
        return self.answer("check_host")

    @hookimpl
    def recognise(self, reader: Reader) -> Any:
        """The hook of this name."""
        return self.answer("recognise", reader)

    @hookimpl
    def enumerate_used_blocks(self, reader: Reader, facts: FilesystemFacts) -> Any:
        """The hook of this name."""
        return self.answer("enumerate_used_blocks", reader, facts)

    @hookimpl
    def snapshot(self, volume: Volume, request: HoldRequest) -> Any:
        """The hook of this name."""
        return self.answer("snapshot", volume, request)

    @hookimpl
    def freeze(self, volume: Volume, request: HoldRequest) -> Any:
        """The hook of this name."""
        return self.answer("freeze", volume, request)

    @hookimpl
    def storage_target(self, url: str) -> Any:
        """The hook of this name."""
        return self.answer("storage_target", url)

    @hookimpl
    def workforce(self, url: str) -> Any:
        """The hook of this name."""
        return self.answer("workforce", url)

    @hookimpl
    def check_filesystem(self, volume: Volume, filesystem: str) -> Any:
        """The hook of this name."""
        return self.answer("check_filesystem", volume, filesystem)

    @hookimpl
    def restore(self, image: Any, target: Any) -> Any:
        """The hook of this name."""
        return self.answer("restore", image, target)

    @hookimpl
    def manage(self, volume: Volume, runner: Any) -> Any:
        """The hook of this name."""
        return self.answer("manage", volume)

    @hookimpl
    def activate(self, path: str, request: Any) -> Any:
        """The hook of this name."""
        return self.answer("activate", path)

    @hookimpl
    def create_volume(self, name: str, size: int, request: Any) -> Any:
        """The hook of this name."""
        return self.answer("create_volume", name, size)

    @hookimpl
    def compatibility(self) -> Any:
        """The hook of this name."""
        return self.answer("compatibility")

    @hookimpl
    def undo(self, kind: str, version: int, data: Mapping[str, str]) -> Any:
        """The hook of this name."""
        return self.answer("undo", kind, version, data)
