import pytest

from holdstill.preferences.files import read


@pytest.fixture
def options(tmp_path):
    """Write an options file: ``options("mode = 'static'")``."""

    def write(text, name="holdstill.toml"):
        path = tmp_path / name
        path.write_text(text)
        path.chmod(0o600)
        return path

    return write


@pytest.fixture
def says(options):
    """What an options file with this text is understood to say."""
    return lambda text, name="holdstill.toml": read(options(text, name))
