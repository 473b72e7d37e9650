"""Which chunk size? Throughput, stored bytes, and what a second image costs, at 64 KiB to 4 MiB. Needs root to mount.

usage: chunk_size.py [SIZE_IN_GIB] [ROUNDS]    prints the table of docs/explanation/chunk-size.md
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import volumes

from holdstill import BackupRequest, BackupResult, Conversation, Engine

KIB = 1024
CANDIDATES = [64 * KIB, 128 * KIB, 256 * KIB, 512 * KIB, 1024 * KIB, 4096 * KIB]


def image(engine: Engine, repository: Path, volume: Path) -> tuple[BackupResult, float, float]:
    """One backup: the result, wall seconds and processor seconds."""
    wall, spent = time.monotonic(), time.process_time()
    result = engine.backup(str(repository), BackupRequest(str(volume)), Conversation())
    return result, time.monotonic() - wall, time.process_time() - spent


def main() -> None:
    """Make three states of one volume and image each at every chunk size."""
    gib = float(sys.argv[1]) if len(sys.argv) > 1 else 4
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    with tempfile.TemporaryDirectory(prefix="holdstill-bench-") as name:
        folder = Path(name)
        first, files, blocks = (folder / f"{state}.img" for state in ("first", "files", "blocks"))
        volumes.make(first, int(gib * (1 << 30)))
        shutil.copyfile(first, files)
        volumes.change_files(files)
        shutil.copyfile(first, blocks)
        engine = Engine(state=str(folder / "state"))
        with engine.map(str(first)) as used:
            runs = [run for window in used.windows() for run in window]
            total = used.result.used_size
        volumes.change_blocks(blocks, int(0.0025 * total / 4096), runs)
        print(f"{gib:g} GiB ext4, {total / (1 << 30):.2f} GiB used, {os.cpu_count()} cores, median of {rounds}\n")
        print("| chunk | full, s | full, CPU s | stored, MB | files changed: MB | s | random 4 KiB: MB | s |")
        print("|---:|---:|---:|---:|---:|---:|---:|---:|")
        for chunk in CANDIDATES:
            rows = []
            for _ in range(rounds):
                repository = folder / "repo"
                engine.init(str(repository), chunk_size=chunk)
                steps = [image(engine, repository, volume) for volume in (first, files, blocks)]
                rows.append([steps[0][1], steps[0][2], steps[1][1], steps[2][1]])
                shutil.rmtree(repository)
            full, cpu, day, worst = (statistics.median(column) for column in zip(*rows, strict=True))
            stored = [step[0].sizes.stored_size / 1e6 for step in steps]
            print(
                f"| {chunk // KIB} KiB | {full:.2f} | {cpu:.2f} | {stored[0]:.0f} "
                f"| {stored[1]:.0f} | {day:.2f} | {stored[2]:.0f} | {worst:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
