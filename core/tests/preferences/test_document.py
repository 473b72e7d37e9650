"""The text of an options file: what is found in it, and that setting a value moves no other byte."""

import tomllib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from holdstill.preferences.document import line_of, statements
from holdstill.preferences.editing import CannotEdit, edited, toml

ODD = '''\
# the host's options

gap-size = "64K"   # read along
"presnapshotcmd" = """
stop --now   # not a comment
"""
strange = [
  1, # one
  2,
]
volume."/dev/dotted".mode = 'offline'

  [volume."/dev/vg0/a=b#c"] # ours
  mode = "static" # here
\tproof=true

[[list]]
x = {y = 1, z = "#"}
[volume."/last"]'''

VALUES = st.one_of(
    st.booleans(),
    st.integers(0, 1 << 62),
    st.floats(0.001, 1e6),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
)
NAMES = st.sampled_from(["mode", "proof", "gap-size", "freeze-limit"])
SECTIONS = st.sampled_from(["/dev/vg0/home", "/", 'a"b\\', "dm:LVM-1", "ü\x7f\n", "/dev/x.y"])
NOISE = st.sampled_from(
    [
        "",
        "# note",
        "   # indented ",
        "\t",
        "colour = 'red' # kept",
        'a."b.c" = 1',
        "list = [\n 1,\n\n # x\n 2]",
        "d = 1979-05-27",
    ]
)


@st.composite
def documents(draw):
    """Valid options files with comments, odd spacing and unknown names in any place."""
    ends = draw(st.sampled_from(["\n", "\r\n"]))
    lines, used = [], set()

    def block():
        for line in draw(st.lists(NOISE, max_size=4)):
            key = line.partition("=")[0]
            if "=" not in line or key not in used:
                used.add(key)
                lines.append(line)
        for name in draw(st.lists(NAMES, unique=True, max_size=3)):
            lines.append(f"{draw(st.sampled_from(['', '  ']))}{name} = {draw(st.integers(0, 9))}  # said")

    block()
    for section in draw(st.lists(SECTIONS, unique=True, max_size=3)):
        used.clear()
        lines.append(f"[volume.{toml(section)}]")
        block()
    text = "\n".join(lines).replace("\n", ends)
    return text + draw(st.sampled_from(["", ends]))


def test_the_statements_are_the_text():
    assert "".join(each.text for each in statements(ODD)) == ODD


@given(documents())
def test_the_statements_of_any_document_are_its_text(text):
    assert "".join(each.text for each in statements(text)) == text


@pytest.mark.parametrize("text", ["mode", 'a = 1\nb = """x\n\n', "[a\n"])
def test_what_is_no_toml_has_no_statements(text):
    with pytest.raises(ValueError, match="not TOML"):
        list(statements(text))


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("gap-size",), 3),
        (("presnapshotcmd",), 4),
        (("strange",), 7),
        (("volume", "/dev/dotted", "mode"), 11),
        (("volume", "/dev/vg0/a=b#c"), 13),
        (("volume", "/dev/vg0/a=b#c", "mode"), 14),
        (("volume", "/dev/vg0/a=b#c", "proof"), 15),
        (("list", "x", "z"), 18),
        (("volume", "/last"), 19),
        (("volume", "/nowhere"), None),
        (("mode",), None),
    ],
)
def test_a_value_is_found_by_its_line(path, line):
    assert line_of(ODD, path) == line


@pytest.mark.parametrize(
    ("table", "name", "value", "old", "new"),
    [
        ((), "gap-size", 0, 'gap-size = "64K"   # read along', "gap-size = 0   # read along"),
        ((), "presnapshotcmd", "a 'b'", '= """\nstop --now   # not a comment\n"""', "= \"a 'b'\""),
        (("volume", "/dev/dotted"), "mode", "auto", "mode = 'offline'", 'mode = "auto"'),
        (("volume", "/dev/vg0/a=b#c"), "mode", "auto", 'mode = "static" # here', 'mode = "auto" # here'),
        (("volume", "/dev/vg0/a=b#c"), "proof", False, "proof=true", "proof=false"),
        (("volume", "/dev/vg0/a=b#c"), "mode2", "x", "\tproof=true\n", '\tproof=true\nmode2 = "x"\n'),
        ((), "mode", "auto", "mode = 'offline'\n", "mode = 'offline'\nmode = \"auto\"\n"),
        (("volume", "/last"), "proof", True, '[volume."/last"]', '[volume."/last"]\nproof = true\n'),
        (("volume", "/new"), "proof", True, '[volume."/last"]', '[volume."/last"]\n\n[volume."/new"]\nproof = true\n'),
    ],
)
def test_a_value_is_set_where_it_belongs(table, name, value, old, new):
    assert ODD.count(old) == 1
    assert edited(ODD, table, name, value) == ODD.replace(old, new)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("", 'mode = "auto"\n'),
        ("# all\n", '# all\nmode = "auto"\n'),
        ("# all\n\n# x\n[volume.a]\n", '# all\n\nmode = "auto"\n\n# x\n[volume.a]\n'),
        ("[volume.a]\nmode = 'x'\n", "mode = \"auto\"\n\n[volume.a]\nmode = 'x'\n"),
        ("# all\r\n", '# all\r\nmode = "auto"\r\n'),
    ],
)
def test_a_new_value_stands_above_the_first_section(text, result):
    assert edited(text, (), "mode", "auto") == result


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ('volume."/x" = {mode = "auto"}\n', ("volume", "/x")),
        ('volume."/x" = {mode = "auto", proof = true}\n', ("volume", "/x")),
        ('volume."/x".proof = true\n', ("volume", "/x")),
        ("", ("volume", "/x\udcff")),
    ],
)
def test_what_cannot_be_edited_safely_is_left_to_a_person(text, table):
    with pytest.raises(CannotEdit):
        edited(text, table, "mode", "static")


@given(documents(), NAMES, VALUES, st.one_of(st.none(), SECTIONS))
@example("a = 1", "mode", "\x7f\x00\u2028", None)
def test_setting_says_what_was_meant_and_changes_nothing_else(text, name, value, section):
    table = ("volume", section) if section else ()
    result = edited(text, table, name, value)

    said = tomllib.loads(result)
    expected = tomllib.loads(text)
    inside = expected
    for key in table:
        inside = inside.setdefault(key, {})
    before = inside.get(name)
    inside[name] = value
    assert said == expected
    assert edited(result, table, name, value) == result

    old, new = text.split("\n"), result.split("\n")
    if before is not None:
        assert len(result) - len(text) == len(toml(value)) - len(toml(before))
        assert sum(a != b for a, b in zip(old, new, strict=True)) <= 1
    else:
        assert _is_within([line.rstrip("\r") for line in old], [line.rstrip("\r") for line in new])


def _is_within(old, new):
    """Are the old lines all in the new ones, in their order?"""
    left = iter(new)
    return all(line in left for line in old)
