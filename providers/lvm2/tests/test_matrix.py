"""The table of the incumbent's documentation, cell by cell, and what holds for every question that can be put to it."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdstill.errors import UsageError
from holdstill.model.compatibility import CompatQuestion, Operation
from holdstill.model.volume import Mode
from holdstill_lvm2.matrix.rules import Matrix

MODES = (Mode.STATIC, Mode.DYNAMIC, Mode.SNAPSHOT)
OURS = (*MODES, Mode.FREEZE, Mode.OFFLINE, Mode.AUTO, None)
managers = st.sampled_from(["lvm1", "lvm2"])
questions = st.builds(
    CompatQuestion,
    client=st.sampled_from(["5.3", "5.4"]),
    operation=st.just(Operation.RESTORE),
    source=managers,
    target=managers,
    raw=st.booleans(),
    mode=st.sampled_from(OURS),
) | st.builds(
    CompatQuestion,
    client=st.sampled_from(["5.3", "5.4"]),
    operation=st.just(Operation.BACKUP),
    source=managers,
    target=st.none() | managers,
    raw=st.booleans(),
    mode=st.sampled_from(OURS),
)


def answer(**question):
    return Matrix().answer(CompatQuestion(**question))


def allowed(question, **other):
    asked = {field: getattr(question, field) for field in ("client", "operation", "source", "target", "raw", "mode")}
    return answer(**{**asked, **other}).allowed


def touched(question):
    """The kind of volume that the client really reads or writes."""
    return question.source if question.operation is Operation.BACKUP else question.target


def test_the_table_is_the_documents():
    assert Matrix().table().rows == (
        ("V5.3 and prior", "YES", "Only static image for file system", "NO", "NO - raw volumes are not supported"),
        ("V5.4 and beyond", "NO", "YES", "YES", "NO"),
    )
    assert [len(row) for row in Matrix().table().rows] == [len(Matrix().table().headings)] * 2


#: client, source, target; then, for file systems and for raw volumes, which modes an image may have been taken in
CELLS = [
    ("5.3", "lvm1", "lvm1", set(MODES), set(MODES)),
    ("5.3", "lvm2", "lvm2", {Mode.STATIC}, set()),
    ("5.3", "lvm1", "lvm2", set(), set()),
    ("5.3", "lvm2", "lvm1", set(), set()),
    ("5.4", "lvm1", "lvm1", set(), set()),
    ("5.4", "lvm2", "lvm2", set(MODES), set(MODES)),
    ("5.4", "lvm1", "lvm2", set(MODES), set(MODES)),
    ("5.4", "lvm2", "lvm1", set(), set()),
]


@pytest.mark.parametrize(("client", "source", "target", "filesystem", "raw"), CELLS)
def test_every_cell_of_a_restore(client, source, target, filesystem, raw):
    for is_raw, mode in itertools.product((False, True), MODES):
        said = answer(client=client, operation="restore", source=source, target=target, raw=is_raw, mode=mode)
        assert said.allowed is (mode in (raw if is_raw else filesystem)), (is_raw, mode, said)


@pytest.mark.parametrize(
    ("client", "source", "filesystem", "raw"),
    [
        ("5.3", "lvm1", set(MODES), set(MODES)),
        ("5.3", "lvm2", {Mode.STATIC}, set()),
        ("5.4", "lvm1", set(), set()),
        ("5.4", "lvm2", set(MODES), set(MODES)),
    ],
)
def test_every_cell_of_a_backup(client, source, filesystem, raw):
    for is_raw, mode in itertools.product((False, True), MODES):
        said = answer(client=client, operation="backup", source=source, raw=is_raw, mode=mode)
        assert said.allowed is (mode in (raw if is_raw else filesystem)), (is_raw, mode, said)


def test_a_refusal_says_what_the_document_says():
    assert (
        "raw volumes are not supported"
        in answer(client="5.3", operation="restore", source="lvm2", target="lvm1").reason
    )
    assert (
        "only static images, and only of file systems"
        in answer(client="5.3", operation="backup", source="lvm2", raw=True).reason
    )
    assert "LVM1 is not supported any more" in answer(client="5.4", operation="backup", source="lvm1").reason


@given(questions)
def test_every_answer_has_a_reason(question):
    assert Matrix().answer(question).reason


@given(questions)
def test_the_newer_client_gains_only_lvm2_and_loses_only_lvm1(question):
    old, new = allowed(question, client="5.3"), allowed(question, client="5.4")
    if old and not new:
        assert "lvm1" in (question.source, question.target)
        assert touched(question) == "lvm1"
    if new and not old:
        assert touched(question) == "lvm2"


@given(questions)
def test_nothing_writes_an_image_of_lvm2_to_lvm1(question):
    if (question.source, question.target) == ("lvm2", "lvm1"):
        assert not Matrix().answer(question).allowed


@given(questions)
def test_raw_is_never_allowed_where_the_file_system_is_not(question):
    assert allowed(question, raw=False) or not allowed(question, raw=True)


@given(questions)
def test_nothing_is_allowed_that_static_is_not(question):
    assert allowed(question, mode=Mode.STATIC) or not allowed(question)


@given(questions)
def test_in_whatever_way_means_in_one_of_them(question):
    assert allowed(question, mode=None) == any(allowed(question, mode=mode) for mode in MODES)
    assert allowed(question, mode=Mode.AUTO) == allowed(question, mode=None)
    assert (
        allowed(question, mode=Mode.OFFLINE)
        == allowed(question, mode=Mode.FREEZE)
        == allowed(question, mode=Mode.STATIC)
    )


@given(questions)
def test_where_a_backup_is_to_go_only_ever_forbids(question):
    if question.operation is Operation.BACKUP:
        assert allowed(question, target=None) or not allowed(question)


@pytest.mark.parametrize(
    "wrong",
    [
        {"client": "7.1", "operation": "backup", "source": "lvm2"},
        {"client": "5.4", "operation": "backup", "source": "zfs"},
        {"client": "5.4", "operation": "restore", "source": "lvm2", "target": "evms"},
        {"client": "5.4", "operation": "restore", "source": "lvm2"},
    ],
)
def test_what_the_table_does_not_name_is_no_question(wrong):
    with pytest.raises(UsageError):
        answer(**wrong)
