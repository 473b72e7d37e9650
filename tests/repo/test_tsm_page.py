"""The page on options of TSM has every one that is honoured."""

from holdstill.preferences.tsm.options import OPTIONS


def test_every_honoured_option_is_on_the_page(root):
    page = (root / "docs/reference/tsm-options.md").read_text()

    told = {
        word.strip("`") for line in page.splitlines() if line.startswith("|") for word in line.split("|")[1].split()
    }
    honoured = {option.spelling for option in OPTIONS if option.means is not None}
    assert honoured <= {word.rstrip(",").strip("`") for word in told}
