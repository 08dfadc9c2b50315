"""The streams of the command line: one message of ours, and no lines of libraries around it."""

from __future__ import annotations

import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TextIO

ERROR_STREAM = 2

_messages: ContextVar[TextIO | None] = ContextVar("_messages", default=None)


@contextmanager
def libraries_silenced() -> Iterator[None]:
    """Keep what libraries write by themselves off the terminal: warnings, log records, and lines of C's `stderr`.

    The log of a compile still gets them. libpng, ONNX Runtime and others write past every setting, and torch's loggers
    to the `sys.stderr` that they find, so that the process's error stream itself leads nowhere meanwhile; `tell` writes
    to where it led before.
    """
    unheard = logging.NullHandler()
    logging.getLogger().addHandler(unheard)
    try:
        with warnings.catch_warnings(), _native_lines_dropped():
            warnings.showwarning = _unheard
            yield
    finally:
        logging.getLogger().removeHandler(unheard)


def tell(text: str) -> None:
    """Write a message of ours to where the error stream of the process leads for its user."""
    print(text, file=error_stream())


def error_stream() -> TextIO:
    """Where the error stream of the process leads for its user."""
    return _messages.get() or sys.stderr


def encode_everything() -> None:
    """Let a terminal that does not know a character be shown its number instead of failing."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


@contextmanager
def _native_lines_dropped() -> Iterator[None]:
    own = sys.stderr
    if not _is_error_stream(own):  # somebody has redirected it, and the process's own is theirs
        yield
        return
    own.flush()
    kept, nowhere = os.dup(ERROR_STREAM), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, ERROR_STREAM)
    os.close(nowhere)
    stream = io.TextIOWrapper(io.FileIO(kept, "w"), own.encoding, "backslashreplace", write_through=True)
    messages = _messages.set(stream)
    try:
        yield
    finally:
        _messages.reset(messages)
        own.flush()
        os.dup2(kept, ERROR_STREAM)
        stream.close()


def _is_error_stream(stream: Any) -> bool:
    try:
        return bool(stream.fileno() == ERROR_STREAM)
    except (AttributeError, OSError, ValueError):  # of what is no file
        return False


def _unheard(*_: object, **__: object) -> None:
    """Show no warning."""
