"""A Python package that is not there: a sentence that says which, and what to type; and nothing else needs it."""

import subprocess
import sys

import pytest

RUN = """
import sys
sys.modules.update(dict.fromkeys(sys.argv.pop(1).split()))
from holdstill_cli.main import run
run()
"""


@pytest.fixture
def without(tmp_path, monkeypatch):
    """Runs the command where a package cannot be imported."""
    monkeypatch.setenv("HOLDSTILL_STATE", str(tmp_path / "state"))
    (tmp_path / "password").write_text("open sesame")

    def run(package, *words):
        command = [sys.executable, "-W", "error", "-c", RUN, package, *map(str, words)]
        ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60)
        assert "Traceback" not in ran.stdout + ran.stderr
        assert not (tmp_path / "state" / "bugs").exists()
        return ran

    return run


ELSEWHERE = ["verify", "--read-data", "--executor", "dask://host:1"]
SEALED = ["--password-file", "password"]


@pytest.mark.parametrize(
    ("package", "words", "says", "pip"),
    [
        ("cryptography", ["init", "--encrypt", *SEALED, "--repo", "new"], "'cryptography'", "holdstill[sealed]"),
        ("cryptography", ["images", *SEALED, "--repo", "sealed"], "'cryptography'", "holdstill[sealed]"),
        ("blake3", ["init", "--digest", "blake3", "--repo", "new"], "'blake3'", "holdstill[fast]"),
        ("blake3", ["images", "--repo", "plain"], "'blake3'", "holdstill[fast]"),
        ("zstandard", ["images", "--repo", "plain"], "'zstandard'", "holdstill[fast]"),
        ("s3fs", ["images", "--repo", "s3://bucket/folder"], "S3", "holdstill-storage[s3]"),
        ("aiobotocore", ["images", "--repo", "s3://bucket/folder"], "S3", "holdstill-storage[s3]"),
        ("asyncssh", ["images", "--repo", "sftp://host/folder"], "asyncssh", "holdstill-storage[sftp]"),
        ("fsspec", ["images", "--repo", "ftp://host/folder"], "'fsspec'", "holdstill-storage"),
        ("gcsfs", ["images", "--repo", "gs://bucket/folder"], "gs is not installed", "gcsfs"),
        ("distributed", [*ELSEWHERE, "--repo", "plain"], "'distributed'", "holdstill-dask"),
        ("shtab", ["completion", "bash"], "'shtab'", "holdstill[linux]"),
        ("numpy", ["images", "--repo", "plain"], "'numpy'", "holdstill[linux]"),
    ],
)
def test_what_is_not_installed_is_named_and_told_how_to_get(without, package, words, says, pip):
    if "plain" in words:
        without("", "init", "--repo", "plain")
    if "sealed" in words:
        without("", "init", "--encrypt", *SEALED, "--repo", "sealed")

    ran = without(package, *words)

    assert ran.returncode == 1
    message, next_step = ran.stderr.splitlines()
    assert says in message
    assert f"pip install '{pip}'" in next_step or (package == "gcsfs" and pip in next_step)


def test_a_directory_needs_none_of_them(without, tmp_path):
    (tmp_path / "volume").write_bytes(b"something" * 100_000)
    for words in (["init"], ["backup", "volume"], ["restore", "latest", "--to-file", "back"]):
        ran = without("cryptography blake3 zstandard fsspec s3fs asyncssh distributed", *words, "--repo", "plain")
        assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "back").read_bytes() == (tmp_path / "volume").read_bytes()
