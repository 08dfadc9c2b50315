"""How numbers are written, in the terminal and in the report alike."""

from __future__ import annotations

KILO = 1024


def seconds_text(seconds: float) -> str:
    """Seconds to a precision that a reader can use."""
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def error_text(error: float) -> str:
    """An error as a power of ten; an exact zero is written `0`."""
    return "0" if error == 0 else f"{error:.1e}"


def size_text(size: float) -> str:
    """A number of bytes in the unit that suits it."""
    for unit in ("B", "KiB", "MiB"):
        if size < KILO:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= KILO
    return f"{size:.1f} GiB"
