"""The page on failure cases: every case once, every test that it names is one, and no line says more than its state."""

import ast
import re

import attrs
import pytest

STATES = ("done", "partly", "not yet")
CASES = [f"F-{number:02}" for number in range(1, 44)]


@attrs.frozen
class Row:
    case: str
    happens: str
    here: str
    state: str
    tests: tuple[str, ...]


def rows(root):
    page = (root / "docs/reference/failure-cases.md").read_text()
    for line in page.splitlines():
        if line.startswith("| F-"):
            *cells, tests = (cell.strip() for cell in line.strip("|").split("|"))
            yield Row(*cells, tuple(re.findall(r"`([^`]+)`", tests)))


def functions(path):
    """Every test of a file, those in classes too."""
    return {
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def missing(root, tests):
    """Those of the tests that are none."""
    for test in tests:
        file, _, name = test.partition("::")
        if not (root / file).is_file() or name not in functions(root / file):
            yield test


def wrong(row):
    """What a row claims and must not, if anything."""
    if row.state not in STATES:
        return f"no such state: {row.state}"
    if not row.happens or not row.here:
        return "it says nothing"
    if bool(row.tests) is (row.state == "not yet"):
        return "done and partly have tests, what is not yet has none"
    if ("Not yet" in row.here) is (row.state == "done"):
        return "what is not there is told where, and only where, the case is not done"
    return None


def test_every_case_is_there_once(root):
    assert [row.case for row in rows(root)] == CASES


@pytest.mark.parametrize("case", CASES)
def test_what_a_case_says_of_itself_is_so(root, case):
    (row,) = (row for row in rows(root) if row.case == case)

    assert wrong(row) is None
    assert list(missing(root, row.tests)) == []


def test_a_test_that_is_not_there_would_be_noticed(root):
    here = "tests/repo/test_failure_cases.py"
    named = [
        f"{here}::test_every_case_is_there_once",
        f"{here}::test_nothing",
        f"{here}::rows",
        "tests/none.py::test_x",
        "",
    ]

    assert list(missing(root, named)) == named[1:]


@pytest.mark.parametrize(
    ("here", "state", "tests"),
    [
        ("It is so", "done", ()),
        ("It is so", "partly", ("x",)),
        ("It is so. Not yet: more", "done", ("x",)),
        ("Not yet: all", "not yet", ("x",)),
        ("It is so", "not yet", ()),
        ("", "done", ("x",)),
        ("It is so", "soon", ("x",)),
    ],
)
def test_a_line_that_says_more_than_its_state_would_be_noticed(here, state, tests):
    assert wrong(Row("F-00", "it goes wrong", here, state, tests))
