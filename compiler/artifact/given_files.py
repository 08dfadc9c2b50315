"""Files that somebody names: looked at before they are opened, and read no further than what they may hold."""

from __future__ import annotations

import stat
from collections.abc import Callable
from io import StringIO
from pathlib import Path

from compiler.artifact.reading import reading, reason
from compiler.errors import CompileError

LARGEST = 2**31 - 1
"""Bytes: more than that is no image, no cloud and no annotation, and OpenCV and protocol buffers end there."""
LARGEST_LIST = 2**20
"""Bytes of a text with something in each line: names of classes, characters."""
LARGEST_WEIGHTS = 2**36
"""Bytes of a checkpoint, in which a trainer keeps its optimiser's numbers too, and of an engine."""

_KINDS: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def require_file(
    path: Path, what: str, *, where: str = "", fix: str = "", largest: int = LARGEST, may_be_empty: bool = False
) -> int:
    """The size of a file, which is looked at and not opened: opening a pipe waits, and a device never ends.

    Args:
        path: The file, or a link to it.
        what: It should hold, as in "the image".
        where: What names it; the path where that is left out.
        fix: What to give instead.
        largest: Bytes that it may have.
        may_be_empty: Whether nothing in it means something.

    Raises:
        CompileError: It is missing, no file, empty or too large, or cannot be looked at.
    """
    where = where or str(path)
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        advice = f"check the path; it is seen from {Path.cwd()}"
        raise CompileError(f"{what} does not exist", where=where, why=_missing(path), fix=fix or advice) from error
    except (OSError, ValueError) as error:
        raise CompileError(f"{what} cannot be read", where=where, why=reason(error), fix=fix) from error
    kind = next((name for is_kind, name in _KINDS if is_kind(found.st_mode)), None)
    if kind is not None:
        raise CompileError(f"{what} is {kind}", where=where, why="only a file is read", fix=fix or "give one file")
    if not found.st_size and not may_be_empty:
        raise CompileError(f"{what} is empty", where=where, why="the file has 0 bytes", fix=fix or "copy it again")
    if found.st_size > largest:
        raise CompileError(
            f"{what} is too large",
            where=where,
            why=f"the file has {found.st_size:,} bytes, and at most {largest:,} are read",
            fix=fix,
        )
    return found.st_size


def read_given(
    path: Path, what: str, *, where: str = "", fix: str = "", largest: int = LARGEST, may_be_empty: bool = False
) -> bytes:
    """What is in a file; see `require_file`. A file that grows meanwhile is read as far as it went.

    Raises:
        CompileError: See `require_file`; or it cannot be read.
    """
    size = require_file(path, what, where=where, fix=fix, largest=largest, may_be_empty=may_be_empty)
    try:
        with path.open("rb") as file:
            return file.read(size)
    except OSError as error:
        raise CompileError(f"{what} cannot be read", where=where or str(path), why=reason(error), fix=fix) from error


def read_lines(path: Path, what: str, *, where: str = "", fix: str = "") -> list[str]:
    """The lines of a text in UTF-8, which end where `open` ends them: other ends of lines may be what is listed.

    Raises:
        CompileError: See `require_file`; or it cannot be read, or is no such text.
    """
    content = read_given(path, what, where=where, fix=fix, largest=LARGEST_LIST, may_be_empty=True)
    with reading(path, f"{what} cannot be read", where=where, fix=fix):
        return [line.rstrip("\n") for line in StringIO(content.decode("utf-8"), newline=None)]


def _missing(path: Path) -> str:
    return "the link leads nowhere" if path.is_symlink() else "there is no such file"
