"""Backups that die at a given point, one after the other: forked from a process that has everything loaded.

Reads orders from standard input, one JSON object a line, and answers each with one: how the backup ended, and how many
points it passed. A point is before and after each line of the journal and each call that changes a mount or a freeze.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time

from holdstill import BackupRequest, Conversation, Engine, Mode
from holdstill.held.journal import Journal
from holdstill.model.choices import StaticMethod
from holdstill_static_unmount.linux import frozen, syscalls


class Points:
    def __init__(self, die_at: int) -> None:
        self.die_at = die_at
        self.passed = 0

    def pass_one(self) -> None:
        self.passed += 1
        if self.passed == self.die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, owner: object, name: str) -> None:
        real = getattr(owner, name)

        def counted(*given, **named):
            self.pass_one()
            answer = real(*given, **named)
            self.pass_one()
            return answer

        setattr(owner, name, counted)


def back_up(order: dict, place: dict, told: int) -> None:
    points = Points(order.get("die_at", 0))
    points.around(Journal, "_append")
    for name in ("mount", "unmount", "reconfigure", "sync"):
        points.around(syscalls, name)
    points.around(frozen, "_start")
    for name in ("_wait_until_frozen", "_tell", "_dismiss"):
        points.around(frozen.DoggedFreeze, name)
    request = BackupRequest(
        volume=place["point"], mode=Mode(order["mode"]), static_method=StaticMethod(order.get("method", "remount"))
    )
    Engine(state=place["state"]).backup(place["repository"], request, Conversation())
    os.write(told, str(points.passed).encode())


def main() -> None:
    place = json.loads(sys.argv[1])
    for line in sys.stdin:
        order = json.loads(line)
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                back_up(order, place, write)
            except BaseException as error:
                os.write(write, repr(error).encode())
                os._exit(1)
            os._exit(0)
        os.close(write)
        if "die_after" in order:
            time.sleep(order["die_after"])
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        with os.fdopen(read, "rb") as told:
            said = told.read().decode()
        print(json.dumps({"code": os.waitstatus_to_exitcode(status), "said": said}), flush=True)


main()
