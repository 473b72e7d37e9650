"""``holdstill map``: which bytes of a volume its file system uses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from holdstill.errors import ExitCode
from holdstill_cli.arguments import Commands, bytes_option, command
from holdstill_cli.desk import Desk
from holdstill_cli.jsonlines import dumps
from holdstill_cli.tables import facts

if TYPE_CHECKING:
    from holdstill import Extents, MapResult

#: extents written at once: bounded memory, few writes
_AT_ONCE: Final = 1 << 14


def add(commands: Commands) -> None:
    """The part of the command line."""
    parser = command(
        commands,
        "map",
        run,
        does="Show how much of a volume its file system uses.",
        more="With --json one object is printed, with the place of every extent.",
        example="holdstill map --json /dev/vg/home",
    )
    bytes_option(parser)
    parser.add_argument("volume", metavar="VOLUME", help="a device, a mount point, or a file that holds a file system")


def run(desk: Desk) -> ExitCode:
    """Do it."""
    with desk.engine.map(desk.asked.volume) as found:
        if desk.asked.json:
            return _stream(found.result, found.windows(), desk)
        count = sum(len(starts) for starts, _ in joined(found.windows()))
        return desk.answer({}, _lines(found.result, count, desk))


def _stream(result: MapResult, windows: Iterable[Extents], desk: Desk) -> ExitCode:
    """One object, written as it is read. If that fails in the middle, the error can only go to standard error."""
    head = dumps(_answer(result))
    desk.talk.half_said = True
    desk.talk.streams.out(f'{head[:-1]}, "extents": [')
    between = ""
    for starts, lengths in joined(windows):
        pairs = ", ".join([f"[{start}, {length}]" for start, length in zip(starts, lengths, strict=True)])
        desk.talk.streams.out(between + pairs)
        between = ", "
    desk.talk.streams.out("]}\n")
    desk.talk.streams.flush()
    desk.talk.half_said = False
    return ExitCode.DONE


def joined(windows: Iterable[Extents]) -> Iterator[tuple[list[int], list[int]]]:
    """Starts and lengths of all extents, some thousands at once; what two windows cut in two is one again."""
    held: list[tuple[int, int]] = []
    for window in windows:
        for at in range(0, len(window), _AT_ONCE):
            starts = window.starts[at : at + _AT_ONCE].tolist()
            ends = window.ends[at : at + _AT_ONCE].tolist()
            if held:
                start, end = held.pop()
                if end == starts[0]:
                    starts[0] = start
                else:
                    yield [start], [end - start]
            held.append((starts.pop(), ends.pop()))
            if starts:
                yield starts, [end - start for start, end in zip(starts, ends, strict=True)]
    for start, end in held:
        yield [start], [end - start]


def _answer(result: MapResult) -> dict[str, Any]:
    return {
        "volume": result.volume.path,
        "filesystem": result.filesystem.name if result.filesystem else None,
        "block_size": result.block_size,
        "volume_size": result.volume.size,
        "used_size": result.used_size,
        "whole_volume_because": result.whole_volume_because,
    }


def _lines(result: MapResult, count: int, desk: Desk) -> Iterator[str]:
    said = _answer(result)
    share = f", {result.used_size * 100 // result.volume.size}%" if result.volume.size else ""
    yield from facts(
        [
            ("volume", said["volume"]),
            ("file system", said["filesystem"] or "not known"),
            ("block size", desk.measure(result.block_size)),
            ("volume size", desk.measure(result.volume.size)),
            ("used", f"{desk.measure(result.used_size)}{share}, in {count} extents"),
            ("whole volume", result.whole_volume_because or ""),
            *(("note", note) for note in result.notes),
        ]
    )
