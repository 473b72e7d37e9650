"""What becomes of an exception that no part of the engine turned into a sentence."""

from __future__ import annotations

import os
import time
import traceback

from holdstill import HoldstillError, StateFolder


class SystemFault(HoldstillError):
    """The operating system refused something outside any volume or target."""

    id = "system"


class OutOfMemory(HoldstillError):
    """The process could not get the memory it asked for."""

    id = "memory"


class PackageMissing(HoldstillError):
    """Something that holdstill cannot do without is not installed."""

    id = "package"


class Bug(HoldstillError):
    """Our mistake."""

    id = "bug"


def told(fault: BaseException) -> HoldstillError:
    """The same fault as an error with a sentence and a next step."""
    match fault:
        case HoldstillError():
            return fault
        case MemoryError():
            return OutOfMemory("there is not enough memory", next_step="run it where about 300 MiB more are free")
        case ModuleNotFoundError() if fault.name and not fault.name.startswith("holdstill"):
            package = fault.name.partition(".")[0]
            return PackageMissing(
                f"the Python package {package!r} is not installed", next_step="pip install 'holdstill[linux]'"
            )
        case OSError():
            subject = os.fsdecode(fault.filename) if isinstance(fault.filename, (str, bytes)) else ""
            return SystemFault((fault.strerror or str(fault) or type(fault).__name__).lower(), subject=subject)
        case _:
            return Bug(f"a mistake in holdstill ({type(fault).__name__}: {fault})", next_step=_how_to_report(fault))


def _how_to_report(fault: BaseException) -> str:
    if os.environ.get("HOLDSTILL_DEBUG"):
        traceback.print_exception(fault)
        return "please report it, with the lines above"
    folder = StateFolder.default().path / "bugs"
    place = folder / f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.getpid()}.txt"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        place.write_text("".join(traceback.format_exception(fault)), encoding="utf-8", errors="backslashreplace")
    except OSError:
        return "please report it; with HOLDSTILL_DEBUG=1 it prints the details"
    return f"please report it, with the file {place}"
