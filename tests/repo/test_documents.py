"""What the documents say of the code is so, and what they point to is there."""

import ast
import re

import pytest


@pytest.fixture
def pages(files):
    return [path for path in files if path.suffix == ".md"]


def signatures(root):
    """``name(argument: type) -> type`` of every hook, as the source has it."""
    source = root / "core/src/holdstill/plugins/hookspecs.py"
    for node in ast.parse(source.read_text()).body:
        if isinstance(node, ast.FunctionDef) and any(ast.unparse(mark) == "hookspec" for mark in node.decorator_list):
            yield f"{node.name}({ast.unparse(node.args)}) -> {ast.unparse(node.returns)}"


def test_every_hook_has_a_heading_with_its_signature(root):
    page = (root / "docs/reference/hooks.md").read_text()
    headings = [line.removeprefix("## ") for line in page.splitlines() if re.match(r"## \w+\(", line)]
    assert headings == list(signatures(root))


def test_every_hook_has_a_test(root):
    tests = "".join(path.read_text() for path in (root / "core/tests/plugins").glob("test_*.py"))
    names = {signature.partition("(")[0] for signature in signatures(root)}
    assert {name for name in names if name not in tests} == set()


def test_links_lead_somewhere(pages, root):
    broken = {}
    for page in pages:
        text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            place, _, _ = target.partition("#")
            if place and not re.match(r"[a-z]+:", place) and not (page.parent / place).exists():
                broken.setdefault(str(page.relative_to(root)), []).append(target)
    assert broken == {}


def test_every_public_name_is_there():
    import holdstill

    assert sorted(holdstill.__all__) == list(holdstill.__all__)
    for name in holdstill.__all__:
        assert getattr(holdstill, name) is not None
