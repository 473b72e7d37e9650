"""What only a local directory can do wrong: debris, foreign names, modes, a missing disk, races between processes."""

import errno
import multiprocessing
import os
import signal
import stat
import subprocess
import sys

import pytest

from holdstill.errors import ObjectMissing, TargetDenied, TargetError, TargetFull, TargetUnfit
from holdstill_storage import files
from holdstill_storage.local import LocalTarget
from holdstill_testing.torture import dice, rounds


@pytest.fixture
def target(tmp_path):
    with LocalTarget(str(tmp_path / "objects")) as target:
        target.prepare()
        yield target


def everything(target):
    """Every name below the target's directory, also hidden ones."""
    return sorted(
        f"{folder}/{name}"[len(target.url) + 1 :] for folder, _, names in os.walk(target.url) for name in names
    )


# --- races between processes ----------------------------------------------------------------------


def race(url, racer, keys, barrier, won):
    with LocalTarget(url) as target:
        barrier.wait()
        won.put((racer, [key for key in keys if target.put_if_absent(key, [b"%d:" % racer, key.encode() * 50])]))


def test_one_of_four_processes_creates_each_key(target):
    keys = [f"race/{number % 7}/{number}" for number in range(rounds(3000))]
    context = multiprocessing.get_context("spawn")
    barrier, won = context.Barrier(4), context.SimpleQueue()
    racers = [context.Process(target=race, args=(target.url, racer, keys, barrier, won)) for racer in range(4)]
    for racer in racers:
        racer.start()
    claims = dict(won.get() for _ in racers)
    for racer in racers:
        racer.join()
        assert racer.exitcode == 0
    assert sorted(key for mine in claims.values() for key in mine) == sorted(keys)
    for racer, mine in claims.items():
        assert all(target.get(key) == b"%d:" % racer + key.encode() * 50 for key in mine)
    assert everything(target) == sorted(keys)


PUTS_FOR_EVER = """
import sys
from holdstill_storage.local import LocalTarget
target = LocalTarget(sys.argv[1])
whole = [bytes([number % 251]) * 4000 for number in range(500)]
for number in range(1_000_000):
    (target.put, target.put_if_absent)[number % 2](f"packs/{number % 5}/{number}", whole)
    print(number, flush=True)
"""


def test_a_killed_put_leaves_no_visible_key(target):
    whole = b"".join(bytes([number % 251]) * 4000 for number in range(500))
    chance = dice("kill")
    for _ in range(rounds(60)):
        writer = subprocess.Popen([sys.executable, "-c", PUTS_FOR_EVER, target.url], stdout=subprocess.PIPE, text=True)
        for _ in range(chance.randint(1, 12)):
            acknowledged = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        acknowledged = max([acknowledged, *map(int, writer.stdout.read().split())])
        writer.wait()
        writer.stdout.close()
        rows = {row.key: row.size for row in target.list("")}
        assert all(size == len(whole) for size in rows.values())
        assert {f"packs/{number % 5}/{number}" for number in range(acknowledged + 1)} <= set(rows)
        assert len(rows) <= acknowledged + 2
        assert all(target.get(key) == whole for key in rows)
        for key in rows:
            target.delete(key)


def test_old_debris_is_swept_and_young_is_not(target):
    target.put("packs/1/a", [b"x"])
    old, young = (os.path.join(target.url, "packs/1", f"{files.HIDDEN}{age}") for age in ("old", "young"))
    for path in (old, young):
        with open(path, "wb") as file:
            file.write(b"half an object")
    os.utime(old, (0, os.stat(young).st_mtime - 25 * 3600))
    assert [row.key for row in target.list("")] == ["packs/1/a"]
    with LocalTarget(target.url) as later:
        later.put("b", [b"x"])
    assert everything(target) == sorted([f"packs/1/{files.HIDDEN}young", "packs/1/a", "b"])


# --- what else may go wrong -----------------------------------------------------------------------


@pytest.mark.root
@pytest.mark.parametrize("kind", ["tmpfs", "ext4"])
@pytest.mark.parametrize("verb", ["put", "put_if_absent"])
def test_a_full_disk_is_said_and_leaves_no_debris(mounted, kind, verb):
    with LocalTarget(str(mounted(kind, megabytes=24) / "objects")) as target:
        target.prepare()
        target.put("small", [b"x"])
        store, whole = getattr(target, verb), [os.urandom(1 << 20)] * 3
        stored = []

        def fill():
            for number in range(20):
                store(f"packs/1/{number}", whole)
                stored.append(f"packs/1/{number}")

        with pytest.raises(TargetFull) as told:
            fill()
        assert f"storing {3 << 20} bytes" in str(told.value)
        assert "free space" in told.value.next_step
        assert not told.value.retryable
        assert stored
        assert everything(target) == sorted(["small", *stored])
        assert all(target.get(key) == b"".join(whole) for key in stored)
        target.delete(stored[0])
        store("packs/1/again", whole[:1])


def test_a_failed_sync_is_final(target, monkeypatch):
    """Only the kernel can make fsync fail for real, and on this machine it does not; so the call is made to fail."""
    calls = []

    def fsync(file):
        calls.append(file)
        raise OSError(errno.EIO, "Input/output error")

    target.put("before", [b"x"])
    monkeypatch.setattr(os, "fsync", fsync)
    for store in (target.put, target.put_if_absent):
        with pytest.raises(TargetError, match="Input/output error"):
            store("new", [b"x"])
    assert len(calls) == 2
    assert everything(target) == ["before"]


def test_without_hard_links_it_is_unfit(target, monkeypatch):
    """As on FAT: what link(2) answers there is EPERM."""

    def link(*args, **more):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    with pytest.raises(TargetUnfit, match="hard links"):
        target.put_if_absent("key", [b"x"])
    assert everything(target) == []
    target.put("key", [b"x"])


def test_a_lost_reply_of_a_network_file_system_is_a_win(target, monkeypatch):
    """NFS may answer "exists" to its own repetition of a link that had succeeded."""
    real = os.link

    def link(*args, **more):
        real(*args, **more)
        raise FileExistsError(errno.EEXIST, "File exists")

    monkeypatch.setattr(os, "link", link)
    assert target.put_if_absent("key", [b"mine"]) is True
    monkeypatch.undo()
    assert target.put_if_absent("key", [b"late"]) is False
    assert target.get("key") == b"mine"


def test_foreign_things_are_not_listed(target, tmp_path):
    target.put("packs/1/a", [b"x"])
    root = target.url
    os.symlink(tmp_path, f"{root}/link")
    os.symlink(f"{root}/packs/1/a", f"{root}/packs/1/link")
    os.mkfifo(f"{root}/pipe")
    os.makedirs(f"{root}/lost+found/a")
    os.makedirs(f"{root}/a/b/c/d/e")
    for path in ("UPPER", "a.txt", "packs/1/b~", "lost+found/a/b", "a/b/c/d/e/f", f"{files.HIDDEN}x"):
        with open(f"{root}/{path}", "wb"):
            pass
    assert [row.key for row in target.list("")] == ["packs/1/a"]
    assert list(target.list("link/")) == []
    assert list(target.list("packs/1/a/")) == []
    for key in ("pipe", "a"):
        with pytest.raises(ObjectMissing):
            target.get(key)
    with pytest.raises(TargetError):
        target.get("packs/1/link")


def test_what_it_makes_is_private(target):
    umask = os.umask(0)
    try:
        target.put("packs/1/a", [b"x"])
        target.put_if_absent("packs/1/b", [b"x"])
    finally:
        os.umask(umask)
    modes = {path: stat.S_IMODE(os.stat(os.path.join(target.url, path)).st_mode) for path in ("", "packs", "packs/1")}
    assert set(modes.values()) == {0o700}
    assert {stat.S_IMODE(os.stat(os.path.join(target.url, "packs/1", name)).st_mode) for name in "ab"} == {0o600}


def test_a_missing_directory_is_never_made_by_a_put(tmp_path):
    """It is a disk that is not mounted."""
    target = LocalTarget(str(tmp_path / "nowhere"))
    for ask in (lambda: target.put("a", [b"x"]), lambda: target.get("a"), lambda: list(target.list(""))):
        with pytest.raises(TargetError, match="No such file") as told:
            ask()
        assert not isinstance(told.value, ObjectMissing)
        assert "mounted" in told.value.next_step
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.root
def test_another_disk_in_its_place_gets_nothing(tmp_path, mounted):
    """The directory is held open: what is mounted over it meanwhile is not written to."""
    place = mounted("tmpfs") / "objects"
    with LocalTarget(str(place)) as target:
        target.prepare()
        target.put("a", [b"x"])
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], check=True)
        try:
            target.put("b", [b"y"])
            assert os.listdir(place) == []
        finally:
            subprocess.run(["umount", place], check=True)
        assert sorted(os.listdir(place)) == ["a", "b"]


def test_rights_are_asked_for(tmp_path):
    """As an ordinary user, since root is refused nothing."""
    (tmp_path / "objects").mkdir()
    (tmp_path / "objects").chmod(0o500)
    if os.geteuid() != 0:
        with pytest.raises(TargetDenied):
            LocalTarget(str(tmp_path / "objects")).put("a", [b"x"])
        return
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == 0 and folder != folder.parent:
            folder.chmod(folder.stat().st_mode | 0o055)
    child = os.fork()
    if child == 0:
        os.setuid(65534)
        try:
            LocalTarget(str(tmp_path / "objects")).put("a", [b"x"])
        except TargetDenied as error:
            os._exit(7 if "rights" in error.next_step else 8)
        finally:
            os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_prepare_makes_the_whole_path_and_minds_a_file(tmp_path):
    target = LocalTarget(str(tmp_path / "a/b/c"))
    target.prepare()
    target.prepare()
    (tmp_path / "file").touch()
    with pytest.raises(TargetError, match="exists"):
        LocalTarget(str(tmp_path / "file")).prepare()


def test_many_parts_and_partial_writes(target, monkeypatch):
    """writev(2) may take less than it was given."""
    real, chance = os.writev, dice("writev")

    def writev(file, parts):
        some = parts[: chance.randint(1, len(parts))]
        cut = chance.randint(1, len(some[-1]))
        return real(file, [*some[:-1], some[-1][:cut]])

    monkeypatch.setattr(os, "writev", writev)
    parts = [chance.randbytes(chance.choice((0, 1, 5, 3000))) for _ in range(5000)]
    target.put("parts", parts)
    assert target.get("parts") == b"".join(parts)
