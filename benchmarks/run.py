"""holdstill beside its peers, in one run: full, day 2, the worst case, restore. Needs root and the peers' Debian
packages.

usage: run.py [SIZE_IN_GIB] [ROUNDS] [FILESYSTEM...]    writes the tables of docs/explanation/performance.md
"""

from __future__ import annotations

import compileall
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import ceiling
import measure
import peers
import volumes

PAGE = Path(__file__).parents[1] / "docs" / "explanation" / "performance.md"
BEGIN, END = "<!-- measured -->", "<!-- end -->"
PACKAGES = {
    "partclone.ext4": "partclone",
    "zstd": "zstd",
    "restic": "restic",
    "borg": "borgbackup",
    "mkfs.xfs": "xfsprogs",
}
STEPS = ("full", "files changed", "random 4 KiB", "restore")
Samples = dict[tuple[str, str], list[measure.Cost]]


def install_peers() -> None:
    """Debian's packages of the peers, where they are missing."""
    missing = [package for program, package in PACKAGES.items() if shutil.which(program) is None]
    if missing:
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing], check=True)


def compile_own() -> None:
    """Byte code for our own sources, as pip leaves it with a package, whatever PYTHONDONTWRITEBYTECODE says."""
    compileall.compile_dir(Path(__file__).parents[1], quiet=1, rx=re.compile(r"/\.venv/"))


def states(folder: Path, gib: float, filesystem: str) -> dict[str, Path]:
    """One volume in three states: first day, after a day's work, after random writes."""
    first, files, blocks = (folder / f"{name}.img" for name in ("first", "files", "blocks"))
    volumes.make(first, int(gib * (1 << 30)), filesystem)
    shutil.copyfile(first, files)
    volumes.change_files(files)
    shutil.copyfile(first, blocks)
    runs, total = ceiling.used(first, folder / "state")
    volumes.change_blocks(blocks, int(0.0025 * total / 4096), runs)
    return {"full": first, "files changed": files, "random 4 KiB": blocks, "restore": first}


def one_round(
    peer: peers.Peer, volume: dict[str, Path], folder: Path, filesystem: str
) -> dict[str, tuple[measure.Cost, int]]:
    """Every step that the peer can do, once: cost, and bytes added to its store."""
    place, out, here = folder / "store", folder / "out.img", folder / "volume.img"
    done: dict[str, tuple[measure.Cost, int]] = {}

    def step(name: str, command: str | None) -> None:
        if command is None:
            return
        # Every state is shown under one name, as on a real host: the volume is the same, its content is not.
        here.unlink(missing_ok=True)
        here.symlink_to(volume[name])
        measure.warm(volume[name])
        if name == "restore":
            measure.cool(place)
        before = stored(place)
        line = command.format(v=os.path.realpath(here), r=place, o=out, fs=filesystem)
        done[name] = (measure.run(line, folder, peer.env), stored(place) - before)

    for wave in (("full", "files changed"), ("full", "random 4 KiB"), ("full", "restore")):
        shutil.rmtree(place, ignore_errors=True)
        out.unlink(missing_ok=True)
        place.mkdir()
        measure.run(peer.prepare.format(v=here, r=place, o=out, fs=filesystem), folder, peer.env)
        commands: dict[str, str | None] = dict.fromkeys(STEPS, peer.again) | {
            "full": peer.full,
            "restore": peer.restore,
        }
        if commands[wave[1]] is not None:
            for name in wave:
                step(name, commands[name])
    if "full" not in done:
        step("full", peer.full)
    return done


def stored(place: Path) -> int:
    """Bytes of all files below."""
    return sum(path.stat().st_size for path in place.rglob("*") if path.is_file())


def table(samples: Samples, sizes: dict[tuple[str, str], int], names: list[str], step: str) -> list[str]:
    """One step as Markdown; ours is 1.0, so a ratio above it is a peer that is slower."""
    if (names[0], step) not in samples:
        return []
    median: Callable[[str, str], float] = lambda name, field: statistics.median(  # noqa: E731
        getattr(cost, field) for cost in samples[name, step]
    )
    own = median(names[0], "wall")
    lines = [
        f"### {step}",
        "",
        "| | wall, s | ratio | CPU, s | memory, MiB | added, MB |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {name} | {median(name, 'wall'):.2f} | {median(name, 'wall') / own:.2f} | {median(name, 'cpu'):.2f} "
        f"| {median(name, 'memory') / (1 << 20):.0f} | {sizes[name, step] / 1e6:.0f} |"
        for name in names
        if (name, step) in samples
    ]
    return [*lines, ""]


def report(gib: float, rounds: int, filesystem: str) -> list[str]:
    """Interleave the peers, take medians: the section of one file system."""
    with tempfile.TemporaryDirectory(prefix="holdstill-bench-") as name:
        folder = Path(name)
        volume = states(folder, gib, filesystem)
        everybody = peers.peers(folder)
        samples: Samples = {}
        sizes: dict[tuple[str, str], int] = {}
        for number in range(rounds):
            for peer in everybody:
                for step, (cost, added) in one_round(peer, volume, folder, filesystem).items():
                    samples.setdefault((peer.name, step), []).append(cost)
                    sizes[peer.name, step] = added
            print(f"{filesystem}: round {number + 1} of {rounds} done", flush=True)
        best = ceiling.measure(volume["full"], folder / "state")
    names = [peer.name for peer in everybody]
    size, cores, today = best.used / (1 << 30), os.cpu_count(), time.strftime("%Y-%m-%d")
    lines = [f"## {filesystem}", "", f"{gib:g} GiB, {size:.2f} GiB used, {cores} cores, medians of {rounds}, {today}."]
    lines += ["The volume is in the page cache; what a restore reads is not. fsync is counted on both sides.", ""]
    lines += [f"Our own ceiling for a full image (same chunks, codec and digest, no I/O): {best.encoded:.2f} s."]
    lines += [f"Reading from the page cache and hashing what is used, once, on all cores: {best.hashed:.2f} s.", ""]
    for step in STEPS:
        lines += table(samples, sizes, names, step)
    return lines


def main() -> None:
    """Measure and write the page."""
    gib = float(sys.argv[1]) if len(sys.argv) > 1 else 4
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    install_peers()
    compile_own()
    lines = [line for filesystem in sys.argv[3:] or ["ext4", "xfs"] for line in report(gib, rounds, filesystem)]
    page = PAGE.read_text()
    head, tail = page.partition(BEGIN)[0], page.partition(END)[2]
    PAGE.write_text(f"{head}{BEGIN}\n{chr(10).join(lines)}\n{END}{tail}")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
