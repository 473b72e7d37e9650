"""A journal that lies, and a log that does not fit its checksums or does not end."""

from __future__ import annotations

import struct

import pytest

from holdstill_filesystems.crc import CRC32C
from holdstill_filesystems.ext import journal
from holdstill_testing.torture import dice, rounds


@pytest.fixture
def unreplayed(new_ext, e2fs, tmp_path, answer):
    """An image with a log to replay, and where its log begins, in bytes."""
    image = new_ext("-t ext4 -b 1024", 16 << 20, 0)
    (tmp_path / "block").write_bytes(b"x" * 1024 * 101)
    e2fs("debugfs", "-w", "-f", "-", image.path, input=f"jo -c\njw -b 9000-9100 {tmp_path}/block\njw -r 9050\njc\n")
    start = int(e2fs("debugfs", "-R", "blocks <8>", image.path).split()[0]) * 1024
    assert not isinstance(answer(image.path), str)
    return image, start


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("blocks", 0xFFFFFFFF),
        ("blocks", 1),
        ("first", 0),
        ("first", 0xFFFFFFFF),
        ("start", 0xFFFFFFFF),
        ("block_size", 4096),
        ("feature_incompat", 0xFFFFFFFF),
        ("feature_ro_compat", 1),
        ("errno", -5),
        ("magic", 0),
        ("kind", 9),
        ("checksum", 1),
    ],
)
def test_hostile_numbers_in_the_journal(unreplayed, field, value, answer):
    image, start = unreplayed
    at, form = next((at, form) for name, at, form in journal.LAYOUT.fields if name == field)
    with image.path.open("r+b") as file:
        file.seek(start + at)
        file.write(struct.pack(">" + form, value))
        if field != "checksum":
            file.seek(start)
            data = file.read(1024)
            file.seek(start + 0xFC)
            file.write(struct.pack(">I", CRC32C.one(data[:0xFC] + bytes(4) + data[0x100:], 0xFFFFFFFF)))

    assert isinstance(answer(image.path), str)


def test_flipped_bits_in_the_log(unreplayed, answer):
    """Under a checksum they are refused. A block that no longer looks like the next one ends the log."""
    image, start = unreplayed
    with image.path.open("rb") as file:
        file.seek(start)
        log = file.read(110 * 1024)
    control = [at for at in range(1024, len(log), 1024) if log[at : at + 4] == bytes.fromhex("c03b3998")]
    assert {log[at + 7] for at in control} == {1, 2, 5}
    chance = dice("log")
    for number in range(rounds(400)):
        byte = chance.choice(control) + chance.randrange(12, 1024) if number % 2 else chance.randrange(len(log))
        with image.path.open("r+b") as file:
            file.seek(start + byte)
            file.write(bytes([log[byte] ^ 1 << chance.randrange(8)]))
            file.flush()
            said = answer(image.path)
            file.seek(start + byte)
            file.write(log[byte : byte + 1])
        assert isinstance(said, str) or not number % 2, f"byte {byte} of the log"


def test_a_logged_bitmap_that_does_not_fit_its_tag(new_ext, e2fs, tmp_path, answer, place_of_bitmap):
    image = new_ext("-t ext4 -b 1024", 16 << 20, 0)
    place = place_of_bitmap(image, 0)
    with image.path.open("rb") as file:
        file.seek(place)
        (tmp_path / "bitmap").write_bytes(file.read(1024))
    e2fs("debugfs", "-w", "-f", "-", image.path, input=f"jo -c\njw -b {place // 1024} {tmp_path}/bitmap\njc\n")
    assert not isinstance(answer(image.path), str)
    start = int(e2fs("debugfs", "-R", "blocks <8>", image.path).split()[0]) * 1024
    with image.path.open("r+b") as file:
        file.seek(start + 2 * 1024 + 1000)
        file.write(b"?")

    assert answer(image.path) == "log block 2 of the journal does not fit its checksum"


def test_a_log_of_descriptors_without_end(new_ext, e2fs, tmp_path, answer):
    """Every block of the log says that it is a descriptor of the same transaction."""
    image = new_ext("-t ext4 -b 1024 -O ^metadata_csum", 16 << 20, 0)
    (tmp_path / "block").write_bytes(b"x" * 1024)
    e2fs("debugfs", "-w", "-f", "-", image.path, input=f"jo\njw -b 9000 {tmp_path}/block\njc\n")
    blocks = [int(number) for number in e2fs("debugfs", "-R", "blocks <8>", image.path).split()]
    with image.path.open("r+b") as file:
        file.seek(blocks[0] * 1024 + 0x18)
        sequence = file.read(4)
        for number in blocks[1:]:
            file.seek(number * 1024)
            file.write(bytes.fromhex("c03b399800000001") + sequence + bytes(6) + b"\0\x0a" + bytes(1000))

    assert "no end" in answer(image.path)
