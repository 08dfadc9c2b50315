"""What stands around a compile: one process for each bundle, a log, and clear words for a disk that refuses."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from compiler.errors import CompileError
from compiler.events import Event, Listener, RunStarted, StageFinished, StageProgressed, StageStarted, Waiting, Warned

LOGGER = logging.getLogger("compiler")

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
            fix=_ADVICE.get(error.errno or 0, "write elsewhere: output=<folder>"),
        ) from error


@contextmanager
def one_at_a_time(bundle: Path, listen: Listener) -> Iterator[None]:
    """Wait until no other process is writing the same bundle."""
    from filelock import FileLock, Timeout

    lock = FileLock(bundle.with_name(f".{bundle.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        listen(Waiting(str(bundle)))
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def logged(path: Path, listen: Listener) -> Iterator[Listener]:
    """Write every event and the libraries' own warnings to a file; a failure leaves its traceback there."""
    handler = logging.FileHandler(path, mode="w", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    loggers = (LOGGER, logging.getLogger("torch"), logging.getLogger("py.warnings"))
    before = [(logger, logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.propagate = False
    LOGGER.setLevel(logging.INFO)
    logging.captureWarnings(capture=True)

    def listen_and_log(event: Event) -> None:
        LOGGER.log(logging.DEBUG if isinstance(event, StageProgressed) else logging.INFO, _in_words(event))
        listen(event)

    try:
        yield listen_and_log
    except BaseException as error:
        LOGGER.error("stopped: %s", error, exc_info=True)
        raise
    finally:
        logging.captureWarnings(capture=False)
        for logger, level, propagate in before:
            logger.removeHandler(handler)
            logger.setLevel(level)
            logger.propagate = propagate
        handler.close()


def _in_words(event: Event) -> str:
    match event:
        case RunStarted(model, name):
            return f"{model} {name}"
        case StageStarted(stage):
            return f"{stage} began"
        case StageProgressed(share, phase):
            return f"{share:.0%} {phase}"
        case StageFinished(stage, seconds, cached, detail):
            return f"{stage} {'was cached' if cached else 'took'} {seconds:.3f} s: {detail}"
        case Waiting(path):
            return f"waiting for another process that is writing {path}"
        case Warned(message):
            return message
