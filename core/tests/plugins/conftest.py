"""Plugins that are really installed: distributions written out on the path, found by importlib.metadata."""

import sys
import textwrap

import pytest

GOOD = """
from holdstill.plugins.hookspecs import hookimpl
from holdstill.spi.provider import ProviderInfo

API = 0

@hookimpl
def provider_info():
    return ProviderInfo("{name}", "a plugin")
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """``install("dist", "plugin", source)`` puts a distribution with one entry point into this environment."""
    monkeypatch.syspath_prepend(tmp_path)
    known = set(sys.modules)

    def write(distribution, name, source=GOOD, version="1.0"):
        module = f"{distribution.replace('-', '_')}_{name.replace('-', '_')}"
        (tmp_path / f"{module}.py").write_text(textwrap.dedent(source).replace("{name}", name))
        folder = tmp_path / f"{distribution.replace('-', '_')}-{version}.dist-info"
        folder.mkdir(exist_ok=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        with (folder / "entry_points.txt").open("a") as points:
            if points.tell() == 0:
                points.write("[holdstill]\n")
            points.write(f"{name} = {module}\n")

    yield write
    for module in set(sys.modules) - known:
        if getattr(sys.modules[module], "__file__", "").startswith(str(tmp_path)):
            del sys.modules[module]
