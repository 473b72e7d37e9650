"""Small files, and nothing in them that is true on one machine only."""

import re

#: past this a file is asking for a room of its own
LONGEST = 400


def test_no_product_file_is_too_long(product, root):
    lengths = {str(path.relative_to(root)): len(path.read_text().splitlines()) for path in product}
    assert {path: length for path, length in lengths.items() if length > LONGEST} == {}


def test_only_one_file_of_the_engine_knows_the_plugin_manager(product, root):
    engine = [path for path in product if path.is_relative_to(root / "core")]
    assert [path.name for path in engine if "PluginManager" in path.read_text()] == ["shelf.py"]


def test_no_place_of_one_machine_and_no_registry(files, root):
    places = ["/" + place + "/" for place in ("work", "root", "home/[a-z]+/src")]
    hosts = [r"\.".join(words) for words in (("pypi", "org"), ("pythonhosted", "org"), ("docker", "io"))]
    unwanted = re.compile(r"(?<![\w.>}*])(" + "|".join(places) + ")|" + "|".join(hosts))
    found = {}
    for path in files:
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        if hits := [hit.group() for hit in unwanted.finditer(text)]:
            found[str(path.relative_to(root))] = hits
    assert found == {}
