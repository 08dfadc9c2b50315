"""Reading what a user names: a file that is missing, locked or damaged is told as one error about that file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from compiler.errors import CompileError, UsageError
from compiler.printable import shortened

_REASON = 300
"""Characters of what a library says, which may repeat what is in the file."""


@contextmanager
def reading(path: str | os.PathLike[str], what: str, *, where: str = "", fix: str = "") -> Iterator[None]:
    """Turn whatever is raised while a file is read into one error.

    It stands around the reading and the checking of what was read, and around nothing else: there every exception is
    the file's fault, since libraries have no common class for what a damaged one makes them raise. Elsewhere an
    exception is a defect.

    Args:
        path: What is read, a file or a folder.
        what: What fails then, as `CompileError` takes it, such as "the image cannot be read".
        where: The path's place, such as a key of the config; the path itself where it is not given.
        fix: What to do about it.

    Raises:
        CompileError: Reading failed. Those that are raised within go through as they are.
    """
    try:
        yield
    except (CompileError, ImportError):  # what is not installed is no fault of the file
        raise
    except Exception as error:
        raise CompileError(what, where=where or os.fspath(path), why=reason(error), fix=fix) from error


def reason(error: BaseException) -> str:
    """Why reading failed, in one line."""
    match error:
        case UnicodeDecodeError():
            return f"it is not text in {error.encoding}, from its byte {error.start} on"
        case RecursionError():
            return "it is nested too deeply"
        case MemoryError():
            return "it asks for more memory than there is"
        case OSError() if error.errno:
            return os.strerror(error.errno)
    words = shortened(" ".join(str(error).split()), _REASON)
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


@contextmanager
def as_fault_of(path: str | os.PathLike[str], what: str, *, fix: str = "") -> Iterator[None]:
    """Turn what a user could have got wrong into an error of a file that the user did not write.

    Raises:
        CompileError: Within, something is wrong with what the file says.
    """
    try:
        with reading(path, what, fix=fix):
            yield
    except UsageError as error:
        why = f"{error.what}: {error.why}" if error.why else error.what
        raise CompileError(what, where=os.fspath(path), why=why, fix=fix) from error
