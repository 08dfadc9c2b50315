"""How much memory a process had at most."""

from __future__ import annotations

import sys
from pathlib import Path

STATUS = Path("/proc/self/status")
KILO = 1024


def peak_memory() -> int | None:
    """Bytes of this process that were in memory at most until now; None where the system does not say.

    Linux says it of the process alone there; what `getrusage` has is never less than its parent had.
    """
    if STATUS.is_file():
        return peak_in(STATUS.read_text(encoding="utf-8"))
    try:
        import resource
    except ImportError:  # on Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * KILO


def peak_in(status: str) -> int | None:
    """The bytes in the line `VmHWM` of a process's status; None where there is no such line."""
    lines = (line.split() for line in status.splitlines())
    return next((int(words[1]) * KILO for words in lines if words[:1] == ["VmHWM:"]), None)
