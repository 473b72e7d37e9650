"""The process that freezes a file system, and thaws it whatever becomes of whoever asked for it.

Started alone, with nothing of the engine in it: ``python -I -S -B watchdog.py DESCRIPTOR SECONDS``. It hears on
standard input, a socket, and answers there: ``frozen``, ``refused ERRNO``, ``renewed``, ``thawed REASON``. It thaws
when told to, at the limit, when the other end of the socket closes, which it does when the engine dies, and when it is
asked to end. It writes nothing to any file system: what it froze could be that.
"""

from __future__ import annotations

import fcntl
import select
import signal
import socket
import sys
import time

# include/uapi/linux/fs.h
FIFREEZE = 0xC0045877
FITHAW = 0xC0045878
#: how often it looks whether it was asked to end, seconds
LOOK = 0.2


def main() -> None:
    """Freeze, wait, thaw. The limit counts from before the freeze: writers wait while it is being made."""
    descriptor, limit = int(sys.argv[1]), float(sys.argv[2])
    other = socket.socket(fileno=0)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    # kept waiting, and looked for: it must not come between a freeze and what thaws it
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    ends = time.monotonic() + limit
    try:
        fcntl.ioctl(descriptor, FIFREEZE, 0)
    except OSError as error:
        _say(other, f"refused {error.errno}")
        return
    reason = "broken"
    try:
        _say(other, "frozen")
        reason = _watch(other, ends, limit)
    finally:
        try:
            fcntl.ioctl(descriptor, FITHAW, 0)
        except OSError:
            reason = "lost"  # somebody else had thawed it
        _say(other, f"thawed {reason}")


def _watch(other: socket.socket, ends: float, limit: float) -> str:
    """Why it is over."""
    heard = b""
    while (left := ends - time.monotonic()) > 0:
        if signal.SIGTERM in signal.sigpending():
            return "ended"
        if not select.select([other], [], [], min(left, LOOK))[0]:
            continue
        try:
            said = other.recv(256)
        except OSError:
            said = b""
        if not said:
            return "alone"
        *words, heard = (heard + said).split(b"\n")
        for word in words:
            if word == b"thaw":
                return "asked"
            if word == b"renew":
                ends = time.monotonic() + limit
                _say(other, "renewed")
    return "limit"


def _say(other: socket.socket, text: str) -> None:
    try:
        other.sendall(text.encode() + b"\n")
    except OSError:
        return  # nobody is there any more


if __name__ == "__main__":
    main()
