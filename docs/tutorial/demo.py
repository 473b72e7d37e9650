"""The main job on a real volume, step by step. ``make demo`` runs it; docs/tutorial/first-image.md tells it.

Needs no root: the volume is a file, filled by ``mke2fs -d`` and changed by ``debugfs``, both of e2fsprogs.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HOLDSTILL = [str(Path(sys.executable).with_name("holdstill"))]
TOOLS = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin", "LC_ALL": "C"}
VOLUME_SIZE = 256 << 20


def say(text: str) -> None:
    """A step, told."""
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}", flush=True)


def holdstill(*words: str) -> dict[str, Any]:
    """Run the command as a user would, and show it; the result comes from its last JSON line."""
    print(f"    $ holdstill {' '.join(words)}", flush=True)
    done = subprocess.run([*HOLDSTILL, *words, "--json"], check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"holdstill ended with {done.returncode}\n{done.stdout}{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def tool(*words: str) -> str:
    """Run one of the file system's own programs."""
    done = subprocess.run(words, check=False, capture_output=True, text=True, env=TOOLS)
    if done.returncode:
        sys.exit(f"{words[0]} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def fill(folder: Path) -> None:
    """Real files: texts, noise, an empty one, a sparse one, names with spaces."""
    dice = random.Random(1)
    for number in range(300):
        place = folder / f"letters {number % 10}"
        place.mkdir(parents=True, exist_ok=True)
        words = " ".join(
            dice.choices(["hold", "still", "and", "we", "take", "the", "picture"], k=dice.randrange(20_000))
        )
        (place / f"letter {number}.txt").write_text(words)
    for number in range(12):
        (folder / f"photo{number}.raw").write_bytes(dice.randbytes(2 << 20))
    (folder / "empty").touch()
    with (folder / "sparse").open("wb") as file:
        file.truncate(32 << 20)


def files_in(volume: Path, scratch: Path) -> dict[str, str]:
    """Every file of the volume and its digest, read by the file system's own tool."""
    scratch.mkdir()
    subprocess.run(["debugfs", "-R", f"rdump / {scratch}", str(volume)], check=True, capture_output=True, env=TOOLS)
    return {
        str(path.relative_to(scratch)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(scratch.rglob("*"))
        if path.is_file()
    }


def mib(size: int) -> str:
    """A size for people."""
    return f"{size / (1 << 20):.1f} MiB"


def main() -> None:
    """The whole story, in a folder that goes away afterwards."""
    with tempfile.TemporaryDirectory(prefix="holdstill-demo-") as name:
        demo(Path(name))


def demo(folder: Path) -> None:
    """Make, image, change, image again, restore, prove, compare."""
    volume, repository, restored = folder / "volume.img", folder / "repository", folder / "restored.img"
    os.environ["HOLDSTILL_STATE"] = str(folder / "state")
    os.environ["HOLDSTILL_REPO"] = str(repository)

    say(f"1. A volume: {mib(VOLUME_SIZE)} of ext4 in a file, with some three hundred real files on it.")
    fill(folder / "files")
    volume.touch()
    os.truncate(volume, VOLUME_SIZE)
    tool("mke2fs", "-q", "-t", "ext4", "-d", str(folder / "files"), str(volume))
    before = files_in(volume, folder / "before")
    print(f"    {len(before)} files.")

    say("2. A repository, and the first image. Only the blocks that ext4 uses are read and stored.")
    holdstill("init")
    first = holdstill("backup", str(volume))
    print(
        f"    volume {mib(first['volume_size'])}, used {mib(first['used_size'])}, read {mib(first['read_size'])}, "
        f"stored {mib(first['stored_size'])} in {first['seconds']} s. Image {first['image'][:12]}."
    )

    say("3. A day passes: one file is new, one is gone, and the volume is imaged again.")
    (folder / "note").write_text("Hold still, and we take the picture.\n" * 1000)
    tool("debugfs", "-w", "-R", f"write {folder / 'note'} note", str(volume))
    tool("debugfs", "-w", "-R", "rm photo3.raw", str(volume))
    second = holdstill("backup", str(volume))
    print(
        f"    stored {mib(second['stored_size'])}: {second['new_chunks']} chunks are new, "
        f"{second['reused_chunks']} were there. It is a full image all the same: {second['image'][:12]}."
    )

    say("4. The first image comes back, to a new file, and is read back past the cache and compared.")
    done = holdstill("restore", first["image"], "--to-file", str(restored))
    on_disk = mib(os.stat(restored).st_blocks * 512)
    print(f"    proved: {done['proved']}. {on_disk} on disk of {mib(VOLUME_SIZE)}: still sparse.")

    say("5. What does the file system say, and what do the files say?")
    print("    $ e2fsck -fn restored.img")
    print("    " + tool("e2fsck", "-fn", str(restored)).strip().splitlines()[-1].replace(str(folder), "..."))
    after = files_in(restored, folder / "after")
    if after != before:
        sys.exit("    the files differ")
    print(f"    all {len(after)} files are equal, byte for byte, to those of the first day.")

    say("6. And the repository: every stored byte is read and checked against its digest.")
    checked = holdstill("verify", "--read-data")
    print(f"    {len(checked['images'])} images, {len(checked['findings'])} findings.")
    say("That is the main job. `holdstill --help` shows the rest; nothing of this demo is left behind.")


if __name__ == "__main__":
    main()
