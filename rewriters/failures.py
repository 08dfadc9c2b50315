"""Which rewriter failed, and at which line of its author's code."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rewriters.errors import RewriterCodeError

if TYPE_CHECKING:
    from rewriters.definition import Rewriter

_OWN_FOLDERS = (str(Path(__file__).parent / "apply"), "<frozen importlib")
_OWN_FILES = tuple(str(file) for file in Path(__file__).parent.glob("*.py"))


@contextmanager
def blaming(rewriter: Rewriter, where: str, *files: str) -> Iterator[None]:
    """Turn whatever is raised into an error that names the rewriter, and the line of its author's code.

    Args:
        rewriter: What is asked.
        where: The place in the network.
        files: Other files of the author's, beside the rewriter's.

    Raises:
        RewriterCodeError: Something was raised.
    """
    try:
        yield
    except RewriterCodeError:  # of another rewriter, whose work is seen by this one
        raise
    except Exception as error:  # whatever the code of a rewriter's author raises
        raise failure_of(rewriter, where, error, *files) from error


def failure_of(rewriter: Rewriter, where: str, error: Exception, *files: str) -> RewriterCodeError:
    """An error that an author's code raised, as one that names the rewriter and the line."""
    line = line_in(error, (file_of(rewriter), *files)) or definition_of(rewriter)
    return RewriterCodeError(rewriter.kind, rewriter.name, told(error), where, line)


def refusal(rewriter: Rewriter, where: str, why: str) -> RewriterCodeError:
    """What is said of a rewriter that gave what it must not."""
    return RewriterCodeError(rewriter.kind, rewriter.name, why, where, definition_of(rewriter))


def told(error: BaseException) -> str:
    """An error as a sentence takes it: its type, and what it says first."""
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def causes(error: BaseException) -> Iterator[BaseException]:
    """An error, and those that it was raised from or while handling, one after the other."""
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__ or current.__context__


def file_of(rewriter: Rewriter) -> str:
    """The file of a rewriter's body."""
    file: str = inspect.unwrap(rewriter.body).__code__.co_filename
    return file


def definition_of(rewriter: Rewriter) -> str:
    """Where a rewriter's body begins, as `file:line`."""
    code = inspect.unwrap(rewriter.body).__code__
    return f"{code.co_filename}:{code.co_firstlineno}"


def line_in(error: BaseException, files: Collection[str]) -> str:
    """The innermost line of these files that an error was raised below; empty where there is none."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in files]
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""


def line_of_import(error: BaseException) -> str:
    """The line of a module that cannot be imported; empty where its code was not reached."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    files = {frame.filename for frame in traceback.extract_tb(error.__traceback__)}
    return line_in(error, {file for file in files if not file.startswith(_OWN_FOLDERS) and file not in _OWN_FILES})
