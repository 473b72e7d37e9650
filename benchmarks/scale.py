"""What a repository of many years costs: time, peak memory and requests of every step, each in a process of its own.

usage: scale.py FOLDER [CHUNKS] [IMAGES]    makes FOLDER/repository unless it is there, and tells what each step costs
       scale.py FOLDER --step NAME          one step
"""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import years

from holdstill.model.extents import Extents
from holdstill.model.image import Image
from holdstill.model.requests import PruneRequest
from holdstill.model.retention import Retention
from holdstill.repository.layout import ID_SIZE, BlobKind
from holdstill.repository.opening import create, open_repository
from holdstill.repository.repository import Repository
from holdstill.repository.trees import filled
from holdstill.repository.upkeep import prune
from holdstill.repository.verify import verify
from holdstill_storage.local import LocalTarget
from holdstill_testing.conversations import Agreeing

#: chunks of a region, which the pipeline asks for at once
TOGETHER = 16


class Counting(LocalTarget):
    """Counts requests, as a store that lists a thousand keys a request would."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.requests: Counter[str] = Counter()

    def get(self, key):  # type: ignore[no-untyped-def]
        self.requests["get"] += 1
        return super().get(key)

    def get_range(self, key, offset, length):  # type: ignore[no-untyped-def]
        self.requests["get"] += 1
        return super().get_range(key, offset, length)

    def size(self, key):  # type: ignore[no-untyped-def]
        self.requests["head"] += 1
        return super().size(key)

    def put(self, key, parts):  # type: ignore[no-untyped-def]
        self.requests["put"] += 1
        return super().put(key, parts)

    def put_if_absent(self, key, parts):  # type: ignore[no-untyped-def]
        self.requests["put"] += 1
        return super().put_if_absent(key, parts)

    def delete(self, key):  # type: ignore[no-untyped-def]
        self.requests["delete"] += 1
        return super().delete(key)

    def list(self, prefix):  # type: ignore[no-untyped-def]
        for number, listed in enumerate(super().list(prefix)):
            self.requests["list"] += number % 1000 == 0
            yield listed


def opened(repository: Repository, _folder: Path) -> None:
    """A writer begins, and gives up."""
    with repository.begin("bench"):
        pass


def looked_up(repository: Repository, folder: Path) -> None:
    """A hundred thousand chunks in any order, and as many that are not there."""
    with (folder / "ids").open("rb") as file:
        places = np.random.default_rng(1).integers(0, file.seek(0, os.SEEK_END) // ID_SIZE, 100_000)
        some = [os.pread(file.fileno(), ID_SIZE, ID_SIZE * int(place)) for place in places]
    others = [os.urandom(ID_SIZE) for _ in some]
    with repository.begin("bench") as session:
        for what, ids, there in (("known", some, True), ("not there", others, False)):
            began = time.process_time()
            for at in range(0, len(ids), TOGETHER):
                assert all(flag is there for flag in session.known(BlobKind.CHUNK, ids[at : at + TOGETHER]))
            print(f"{what}: {(time.process_time() - began) * 1e6 / len(ids):.0f} µs of CPU each", file=sys.stderr)


def backed_up(repository: Repository, folder: Path) -> None:
    """The repository's part of a backup of the huge volume, in which nothing has changed, a page of chunks at a time;
    what a volume costs to read and to digest is told elsewhere.
    """
    like = next(image for image in repository.images() if image.host == "huge")
    with repository.begin("huge") as session, (folder / "ids").open("rb") as file:
        used = file.seek(0, os.SEEK_END) // ID_SIZE
        file.seek(0)
        while ids := file.read(1024 * ID_SIZE):
            assert all(session.known(BlobKind.CHUNK, [ids[at : at + ID_SIZE] for at in range(0, len(ids), ID_SIZE)]))
        file.seek(0)
        tree = session.chunks()
        while ids := file.read(1024 * ID_SIZE):
            session.need(BlobKind.CHUNK, [ids[at * ID_SIZE : (at + 1) * ID_SIZE] for at in filled(ids)])
            tree.append(ids)
        tree.append_zeros(like.chunks.count - used)
        writer = session.map_writer()
        writer.add(Extents.whole(used * like.chunk_size))
        session.commit(_like(like, tree.finish(), writer.finish()))


def _like(image: Image, chunks: object, blocks: object) -> Image:
    import attrs

    return attrs.evolve(image, chunks=chunks, map=blocks, taken=image.taken.replace("T00", "T01"))


def listed(repository: Repository, _folder: Path) -> None:
    """Every image."""
    assert len(repository.images()) > 1


def found(repository: Repository, _folder: Path) -> None:
    """The latest image of one volume."""
    repository.find("latest", "/srv/huge")


def prune_planned(repository: Repository, _folder: Path) -> None:
    """What would keeping a month of each volume give back?"""
    _prune(repository, dry_run=True)


def pruned(repository: Repository, _folder: Path) -> None:
    """The same, done."""
    _prune(repository, dry_run=False)


def _prune(repository: Repository, *, dry_run: bool) -> None:
    request = PruneRequest(retention=Retention(last=30), dry_run=dry_run)
    print(prune(repository, request, Agreeing(), dt.datetime(2100, 1, 1, tzinfo=dt.UTC)).deleted_packs, file=sys.stderr)


def verified(repository: Repository, _folder: Path) -> None:
    """Everything but the data."""
    result = verify(repository, None, read_data=False, tell=lambda _: None, cancelled=lambda: False)
    assert not result.findings, result.findings[:3]


STEPS: dict[str, tuple[Callable[[Repository, Path], None], bool]] = {
    "open, first time": (opened, True),
    "open, again": (opened, False),
    "look up 200,000 chunks": (looked_up, False),
    "back up the unchanged volume": (backed_up, False),
    "list the images, first time": (listed, True),
    "list the images, again": (listed, False),
    "find the latest image of a volume": (found, False),
    "verify the structure": (verified, False),
    "prune, dry run": (prune_planned, False),
    "prune": (pruned, False),
    "open after the prune": (opened, False),
    "open after the prune, again": (opened, False),
    "open after the prune, on another host": (opened, True),
    "verify the structure after the prune": (verified, False),
}


def step(folder: Path, name: str) -> None:
    """Do it, and say what it cost as JSON. The page cache is warm."""
    work, first_time = STEPS[name]
    place = folder / "state"
    if first_time:
        subprocess.run(["rm", "-rf", str(place)], check=True)
    place.mkdir(exist_ok=True)
    target = Counting(str(folder / "repository"))
    began, cpu = time.monotonic(), time.process_time()
    work(open_repository(target, place=place), folder)
    # proc(5): VmHWM is the peak resident set, VmRSS what is resident
    peak = int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) << 10  # type: ignore[index]
    print(json.dumps([time.monotonic() - began, time.process_time() - cpu, peak, dict(target.requests)]))


def main() -> None:
    """Make it if need be, then every step."""
    folder = Path(sys.argv[1]).absolute()
    if "--step" in sys.argv:
        step(folder, sys.argv[-1])
        return
    if not (folder / "repository").exists():
        target = LocalTarget(str(folder / "repository"))
        numbers = [int(each) for each in sys.argv[2:]]
        began = time.monotonic()
        made = years.make(create(target), folder / "repository", *(numbers or (20_000_000, 10_000)))
        print(f"made {made.chunks} chunks and {made.images} images in {time.monotonic() - began:.0f} s", flush=True)
    print("| step | wall, s | CPU, s | memory, MiB | requests |\n|---|---:|---:|---:|---|")
    for name in STEPS:
        done = subprocess.run(
            [sys.executable, __file__, str(folder), "--step", name], stdout=subprocess.PIPE, text=True, check=True
        )
        wall, cpu, peak, requests = json.loads(done.stdout)
        told = ", ".join(f"{count} {kind}" for kind, count in sorted(requests.items()))
        print(f"| {name} | {wall:.1f} | {cpu:.1f} | {peak / (1 << 20):.0f} | {told} |", flush=True)


if __name__ == "__main__":
    main()
