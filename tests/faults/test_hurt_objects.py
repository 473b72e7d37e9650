"""Objects of a real repository cut short, flipped, swapped, renamed, removed: verify finds every one, and no restore
gives back anything but the image or an error.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from holdstill.errors import HoldstillError, RepositoryError, TargetError
from holdstill_testing.torture import dice, full, rounds
from holdstill_testing.volumes import digest

pytestmark = [pytest.mark.torture, pytest.mark.timeout(7200)]


def objects(scene) -> list[Path]:
    return sorted(path for path in scene.bench.repository.rglob("*") if path.is_file())


def write(path: Path, content: bytes) -> None:
    path.chmod(0o600)
    path.write_bytes(content)


def flipped(content: bytes, bit: int) -> bytes:
    hurt = bytearray(content)
    hurt[bit // 8] ^= 1 << bit % 8
    return bytes(hurt)


def cut(path, draw):
    content = path.read_bytes()
    write(path, content[: draw.choice([0, 1, 15, 16, len(content) // 2, len(content) - 1])])


def lengthened(path, draw):
    write(path, path.read_bytes() + draw.choice([b"\0", b"more", path.read_bytes()]))


def flip(path, draw):
    content = path.read_bytes()
    write(path, flipped(content, draw.randrange(8 * len(content))))


def zeroed(path, draw):
    content = path.read_bytes()
    at = draw.randrange(len(content))
    length = len(content[at : at + 512])
    write(path, content[:at] + bytes(1 if length == 0 else length) + content[at + length :])


def renamed(path, draw):
    other = draw.choice("0123456789abcdef".replace(path.name[-1], ""))
    path.rename(path.with_name(path.name[:-1] + other))


def removed(path, draw):
    path.unlink()


HURTS: dict[str, Callable] = {
    "cut": cut,
    "lengthened": lengthened,
    "flipped": flip,
    "zeroed": zeroed,
    "renamed": renamed,
    "removed": removed,
}


@pytest.fixture
def two_images(scene, tmp_path):
    """A repository with two images that share packs."""
    copy = scene.copied(tmp_path / "two")
    copy.bench.back_up(scene.volume)
    return copy


def is_noticed(scene) -> bool:
    """Does verify find something, or say that this is no repository any more?"""
    try:
        return bool(scene.bench.findings())
    except HoldstillError as error:
        return bool(str(error))


def leaves_no_trace(name: Path, how: str) -> bool:
    """Where a record was removed it looks as if a backup still ran; where an outcome was, as if nobody had verified."""
    return how == "removed" and name.parts[0] in {"images", "checks"}


def assert_nothing_false_comes_back(scene, place):
    """Each image that is still listed is restored right, or not at all, with an error that says what is wrong."""
    try:
        images = [image.id for image in scene.bench.engine.images(scene.bench.url)]
    except HoldstillError:
        images = [scene.image]
    for image in images:
        target = place / f"restored-{image}"
        with contextlib.suppress(RepositoryError, TargetError):
            scene.bench.restore(image, target)
            assert digest(target) == (scene.due_first if image == scene.image else scene.due_now)
        target.unlink(missing_ok=True)


def rounds_of(scene, place) -> Iterator[tuple[Path, str]]:
    """Every object with every hurt, in a torture run; some of each kind elsewhere."""
    every = list(itertools.product([path.relative_to(scene.bench.repository) for path in objects(scene)], HURTS))
    yield from every if full() else dice("hurts").sample(every, 24)


def test_every_hurt_object_is_found_and_none_restored_silently(two_images, tmp_path, record_property):
    assert not two_images.bench.findings()
    draw, count, silent = dice("hurt"), 0, []
    for name, how in rounds_of(two_images, tmp_path):
        place = tmp_path / f"round{count}"
        hurt = two_images.copied(place)
        HURTS[how](hurt.bench.repository / name, draw)
        if not is_noticed(hurt) and not leaves_no_trace(name, how):
            silent.append(f"{how} {name}")
        assert_nothing_false_comes_back(hurt, place)
        count += 1
    record_property("rounds", count)
    record_property("faults", count)
    assert silent == []


def test_every_swapped_object_is_found_and_none_restored_silently(two_images, tmp_path, record_property):
    names = [path.relative_to(two_images.bench.repository) for path in objects(two_images)]
    every = [(one, other) for one, other in itertools.combinations(names, 2) if one.parts[0] == other.parts[0]]
    chosen = every if full() else dice("swaps").sample(every, 10)
    silent = []
    for number, (one, other) in enumerate(chosen):
        place = tmp_path / f"round{number}"
        hurt = two_images.copied(place)
        first, second = hurt.bench.repository / one, hurt.bench.repository / other
        content = first.read_bytes()
        write(first, second.read_bytes())
        write(second, content)
        if not is_noticed(hurt):
            silent.append(f"{one} and {other}")
        assert_nothing_false_comes_back(hurt, place)
    record_property("rounds", len(chosen))
    record_property("faults", len(chosen))
    assert silent == []


def test_bits_flipped_anywhere_are_found(two_images, tmp_path, record_property):
    """One bit, anywhere in the repository, with every object as likely as it is long."""
    draw, silent = dice("bits"), []
    sizes = {path: path.stat().st_size for path in objects(two_images)}
    for number in range(rounds(300)):
        path = draw.choices(list(sizes), weights=list(sizes.values()))[0]
        content = path.read_bytes()
        bit = draw.randrange(8 * len(content))
        write(path, flipped(content, bit))
        if not is_noticed(two_images):
            silent.append(f"bit {bit} of {path.name}")
        if number % 10 == 0:
            assert_nothing_false_comes_back(two_images, tmp_path)
        write(path, content)
    assert not two_images.bench.findings()
    record_property("rounds", rounds(300))
    record_property("faults", rounds(300))
    assert silent == []


def test_a_hurt_repository_still_takes_backups_of_what_it_has_lost(two_images, tmp_path):
    """Packs that are gone or cut short are not relied on again: their content is stored anew."""
    for number, path in enumerate(sorted((two_images.bench.repository / "packs").rglob("*/*"))):
        if number % 2:
            path.unlink()
        else:
            write(path, path.read_bytes()[:-1])
    result = two_images.bench.back_up(two_images.volume)
    assert result.reused_chunks == 0 or result.sizes.stored_size > 0
    two_images.bench.restore(result.image, tmp_path / "restored")
    assert digest(tmp_path / "restored") == two_images.due_now
