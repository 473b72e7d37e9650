"""Addresses, and words that come through every shell as they are."""

import os
import shlex
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdstill.errors import UsageError
from holdstill_remote.address import Address, parse
from holdstill_remote.dd import pieces
from holdstill_remote.quoting import bourne, command, for_any_shell

WORDS = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n\0"), max_size=20), min_size=1, max_size=4)


@pytest.mark.parametrize(
    ("url", "address", "words"),
    [
        ("ssh://host", Address("host"), ["--", "host"]),
        ("ssh://root@host:2222", Address("host", "root", "2222"), ["-p", "2222", "-o", "User=root", "--", "host"]),
        ("ssh://[::1]:22", Address("::1", "", "22"), ["-p", "22", "--", "::1"]),
        ("SSH://a.b-c_d", Address("a.b-c_d"), ["--", "a.b-c_d"]),
    ],
)
def test_addresses(url, address, words):
    assert parse(url) == address
    assert address.words == words
    assert parse(address.url) == address


@pytest.mark.parametrize(
    "url", ["ssh://", "ssh://-oProxyCommand=x", "ssh://-l@host", "ssh://host:0", "ssh://host:99999", "ssh://a b", "x"]
)
def test_what_is_no_address(url):
    with pytest.raises(UsageError, match="it names no machine"):
        parse(url)


def test_a_password_is_refused_and_not_repeated():
    with pytest.raises(UsageError) as refused:
        parse("ssh://root:secret@host")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("shell", ["sh", "bash", "csh"])
@given(words=WORDS)
def test_a_login_shell_gets_it_through(shell, words):
    """The real ones: what ``printf`` is given is what was meant."""
    script = command(["printf", r"%s\0", *words]) + "; echo 'it''s'!"

    said = subprocess.run([shell, "-c", bourne(script)], capture_output=True, check=True, env={"PATH": os.defpath})

    assert said.stdout == b"".join(word.encode() + b"\0" for word in words) + b"its!\n"


def test_what_no_shell_gets_through():
    with pytest.raises(UsageError, match="a line feed"):
        for_any_shell("a\nb")


def test_it_is_one_word_for_a_posix_shell():
    assert shlex.split(for_any_shell("it's ! $HOME `x` \\ \"")) == ["it's ! $HOME `x` \\ \""]


SECTORS = st.integers(0, 1 << 33)


@given(SECTORS, st.integers(1, 1 << 20))
def test_pieces_are_the_range_in_order_and_in_whole_blocks(first, count):
    found = list(pieces(first * 512, count * 512))

    at = first * 512
    for piece in found:
        assert piece.block * piece.first == at
        assert piece.block in {512 << power for power in range(12)}
        at += piece.length
    assert at == (first + count) * 512
    assert len(found) <= 3
