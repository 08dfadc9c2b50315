"""What libraries write past every setting, to the error stream of the process: lines for the log of a run."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

ERROR_STREAM = 2
MOST = 1 << 20
"""Bytes that are handed on at once: a library may say one thing for every item."""

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@contextmanager
def native_lines(tell: Callable[[str], None]) -> Iterator[Callable[[], None]]:
    """Keep what is written to the error stream meanwhile, where nobody would see it.

    Args:
        tell: Given each line, without colours.

    Yields:
        What hands on the lines that have been written by now.
    """
    if not _leads_nowhere():
        yield lambda: None
        return
    with TemporaryFile() as kept:
        position = 0

        def hand_on() -> None:
            nonlocal position
            written = os.pread(kept.fileno(), MOST, position)
            position = os.fstat(kept.fileno()).st_size
            for line in _COLOURS.sub("", written.decode("utf-8", "replace")).splitlines():
                if line.strip():
                    tell(line)

        before = os.dup(ERROR_STREAM)
        os.dup2(kept.fileno(), ERROR_STREAM)
        try:
            yield hand_on
        finally:
            os.dup2(before, ERROR_STREAM)
            os.close(before)


def _leads_nowhere() -> bool:
    """Whether what is written to the error stream is dropped: another's terminal or file is theirs."""
    if os.name != "posix":
        return False
    try:
        return os.path.samestat(os.fstat(ERROR_STREAM), Path(os.devnull).stat())
    except OSError:  # it is closed
        return False
