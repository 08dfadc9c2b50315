"""What stands around a compile: one process for each bundle, and clear words for a disk that refuses."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote

from compiler.artifact import remove
from compiler.errors import CompileError
from compiler.events import Listener, Waiting

_ADVICE = {
    errno.ENOSPC: "free some space, or write elsewhere: output=<folder>",
    errno.EDQUOT: "free some space, or write elsewhere: output=<folder>",
    errno.EFBIG: "raise the limit on file sizes (ulimit -f), or write elsewhere: output=<folder>",
}


@contextmanager
def writable(path: Path) -> Iterator[None]:
    """Make the folder that `path` goes to, and turn what the operating system refuses into a clear error."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise CompileError(
            "the output cannot be written",
            where=str(error.filename or path),
            why=os.strerror(error.errno) if error.errno else str(error),
            fix=_ADVICE.get(error.errno or 0, "write elsewhere: output=<folder>, cache=<folder>"),
        ) from error


@contextmanager
def one_at_a_time(bundle: Path, listen: Listener) -> Iterator[None]:
    """Wait until no other process is writing the same bundle.

    Raises:
        CompileError: Its lock file is a link.
    """
    from filelock import FileLock, Timeout

    file = bundle.with_name(f".{bundle.name}.lock")
    if file.is_symlink():  # from an archive: opening it may empty the file that it leads to
        raise CompileError(
            "the output cannot be written",
            where=str(file),
            why="the file that keeps other processes away is a link",
            fix=f"remove it: rm {quote(str(file))}",
        )
    lock = FileLock(file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        listen(Waiting(str(bundle)))
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def beside(bundle: Path) -> Path:
    """Where a bundle is made before it is put in its place; what a killed run left there is removed."""
    partial = bundle.with_name(f".{bundle.name}.partial")
    remove(partial)
    return partial
