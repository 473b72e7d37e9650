"""The heavy reading of ``verify``, ``copy`` and ``prune``: by threads here, and by workers of a scheduler.

``spreading.py [MIB] [ROUNDS]``. Twice: in a folder, where the processors are the limit, and on an S3 server that
answers each request 25 ms late, where waiting is. Prints medians of seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import volumes

from holdstill import BackupRequest, CopyRequest, Engine, PruneRequest, VerifyRequest
from holdstill.model.retention import Retention
from holdstill_testing.conversations import Agreeing
from holdstill_testing.schedulers import Cluster, dask_cluster
from holdstill_testing.servers import CREDENTIALS, rclone_s3

#: seconds by which an answer comes late
LATE = 0.025
THREADS = (1, 2)
WORKERS = (1, 2, 3)


async def _between(port: int, told: multiprocessing.Queue[int]) -> None:
    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, late: float) -> None:
        with contextlib.suppress(ConnectionError):
            quiet = True
            while piece := await reader.read(1 << 20):
                if late and quiet:
                    await asyncio.sleep(late)
                quiet = len(piece) < 16 << 10  # more of the same answer comes at once
                writer.write(piece)
                await writer.drain()
        writer.close()

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(carry(reader, there[1], LATE), carry(there[0], writer, 0))

    server = await asyncio.start_server(meet, "127.0.0.1", 0)
    told.put(server.sockets[0].getsockname()[1])
    await server.serve_forever()


def _serve(port: int, told: multiprocessing.Queue[int]) -> None:
    asyncio.run(_between(port, told))


@contextlib.contextmanager
def late(url: str) -> Iterator[str]:
    """The same bucket, further away."""
    port = int(url.rpartition(":")[2])
    told: multiprocessing.Queue[int] = multiprocessing.Queue()
    line = multiprocessing.Process(target=_serve, args=(port, told), daemon=True)
    line.start()
    try:
        yield url.replace(str(port), str(told.get()))
    finally:
        line.kill()
        line.join()


class Place:
    """Where repositories are, and how one of them is had anew."""

    def __init__(self, name: str, folder: Path, url: str) -> None:
        self.name, self.folder, self.url = name, folder, url

    def of(self, repository: str) -> str:
        return self.url.replace("NAME", repository)


def measured(work: object, *arguments: object) -> float:
    began = time.monotonic()
    work(*arguments)  # type: ignore[operator]
    return time.monotonic() - began


def prepare(engine: Engine, place: Place, volume: Path, mib: int) -> None:
    """A repository to read, and one of two images of which the newer shares a third with the older."""
    for name in ("whole", "holed"):
        engine.init(place.of(name))
        engine.backup(place.of(name), BackupRequest(str(volume)), Agreeing())
    dice = random.Random(2)
    with volume.open("r+b") as file:
        for at in range(mib):
            if at % 3:
                file.seek(at << 20)
                file.write(dice.randbytes(1 << 20))
    engine.backup(place.of("holed"), BackupRequest(str(volume)), Agreeing())
    engine.prune(place.of("holed"), PruneRequest(Retention(last=1), repack_below=0), Agreeing())


def round_of(place: Place, workers: int, executor: str | None, state: Path, anew: Iterator[int]) -> list[float]:
    """Seconds of verify, copy and repack."""
    number = next(anew)
    engine = Engine(state=str(state / f"state{number}"), workers=workers)
    copied, repacked = f"copied{number}", f"repacked{number}"
    engine.init(place.of(copied))
    request = VerifyRequest(read_data=True, executor=executor)
    seconds = [
        measured(engine.verify, place.of("whole"), request, Agreeing()),
        measured(engine.copy, place.of("whole"), CopyRequest(place.of(copied), executor=executor), Agreeing()),
        measured(engine.prune, place.of(repacked), PruneRequest(repack_below=0.9, executor=executor), Agreeing()),
    ]
    for name in (copied, repacked):
        shutil.rmtree(place.folder / name)
    return seconds


def compare(place: Place, cluster: Cluster, state: Path, rounds: int) -> None:
    anew = iter(range(1000))
    ways: list[tuple[str, int, str | None]] = [(f"{count} threads", count, None) for count in THREADS]
    print(f"\n{place.name}\n\n| | verify --read-data | copy | repack |\n|---|---:|---:|---:|")
    for name, workers, executor in ways:
        show(name, [round_of(place, workers, executor, state, anew) for _ in range(rounds)])
    for count in WORKERS:
        while len(cluster.workers) < count:
            cluster.work(1)
        round_of(place, 1, cluster.url, state, anew)  # workers open a repository once
        show(f"{count} workers", [round_of(place, 1, cluster.url, state, anew) for _ in range(rounds)])


def show(name: str, seconds: list[list[float]]) -> None:
    print(
        f"| {name} | {' | '.join(f'{statistics.median(each):.2f}' for each in zip(*seconds, strict=True))} |",
        flush=True,
    )


def main() -> None:
    mib, rounds = (int(sys.argv[1]) if len(sys.argv) > 1 else 256), (int(sys.argv[2]) if len(sys.argv) > 2 else 3)
    os.environ.update(CREDENTIALS)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        volume = folder / "volume"
        dice = random.Random(1)
        pieces = [(volumes.text, volumes.noise)[number % 4 == 0](dice, 1 << 20) for number in range(mib)]
        volume.write_bytes(b"".join(pieces))
        (folder / "here").mkdir()
        here = Place("In a folder", folder / "here", str(folder / "here" / "NAME"))
        prepare(Engine(state=str(folder / "state")), here, volume, mib)
        multiply(here, rounds)
        with dask_cluster(made(folder / "one"), 0) as cluster:
            compare(here, cluster, folder / "one", rounds)

        volume.write_bytes(b"".join(pieces))
        (folder / "there").mkdir()
        with rclone_s3(folder / "there") as server:
            bucket = server.bucket().removeprefix("s3://").partition("?")[0]
            there = Place(
                "On S3, 25 ms away", folder / "there" / bucket, f"s3://{bucket}/NAME?endpoint={server.endpoint}"
            )
            prepare(Engine(state=str(folder / "state")), there, volume, mib)
        multiply(there, rounds)  # the server does not see what is done behind its back, so it is another one
        with rclone_s3(folder / "there") as server, late(server.endpoint) as far:
            there.url = f"s3://{bucket}/NAME?endpoint={far}"
            with dask_cluster(made(folder / "two"), 0) as cluster:
                compare(there, cluster, folder / "two", rounds)


def multiply(place: Place, rounds: int) -> None:
    """A repository to repack for each time."""
    for number in range((len(THREADS) + len(WORKERS)) * rounds + len(WORKERS)):
        shutil.copytree(place.folder / "holed", place.folder / f"repacked{number}")


def made(folder: Path) -> Path:
    """The folder, new."""
    folder.mkdir()
    return folder


if __name__ == "__main__":
    main()
