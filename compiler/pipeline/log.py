"""The log of one run: its events, and what libraries warn of meanwhile. Runs side by side do not mix."""

from __future__ import annotations

import logging
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from pathlib import Path

from compiler.events import (
    Event,
    Judged,
    Listener,
    RunStarted,
    StageFinished,
    StageProgressed,
    StageStarted,
    Waiting,
    Warned,
)
from compiler.pipeline.native_lines import native_lines
from compiler.printable import printable

LOGGER = logging.getLogger("compiler")
NATIVE = LOGGER.getChild("native")
LIBRARY_LOGGERS = ("torch", "onnxscript", "onnx_ir", "py.warnings")

_current_log: ContextVar[Path | None] = ContextVar("_current_log", default=None)


class _Formatter(logging.Formatter):
    """Writes what is said whole. What goes on in further lines is set in, so that no text passes for another record."""

    def format(self, record: logging.LogRecord) -> str:
        """A record as text."""
        return printable(super().format(record)).replace("\n", "\n    ")


class _RunHandler(logging.FileHandler):
    """Writes what is said in the context of one run: several may be going on in threads of one process."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, mode="w", encoding="utf-8")
        self.path = path
        self.setFormatter(_Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))

    def filter(self, record: logging.LogRecord) -> bool:
        """Leave out what another run says."""
        return _current_log.get() == self.path and bool(super().filter(record))


def log_file(bundle: Path) -> Path:
    """The log of the last run for a bundle: beside it, so that a failed run leaves one too."""
    return bundle.with_name(f"{bundle.name}.log")


@contextmanager
def logged(path: Path, listen: Listener) -> Iterator[Listener]:
    """Write the command, the events and what libraries say to a file; a failure leaves its traceback there."""
    handler = _RunHandler(path)
    loggers = (LOGGER, *map(logging.getLogger, LIBRARY_LOGGERS))
    for logger in loggers:
        logger.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    logging.captureWarnings(capture=True)
    context = _current_log.set(path)

    def listen_and_log(event: Event) -> None:
        hand_on()
        LOGGER.log(logging.DEBUG if isinstance(event, StageProgressed) else logging.INFO, _in_words(event))
        listen(event)

    LOGGER.info("%s", shlex.join(sys.orig_argv))
    try:
        with native_lines(partial(NATIVE.warning, "%s")) as hand_on:
            try:
                yield listen_and_log
            except BaseException as error:
                hand_on()
                LOGGER.error("stopped: %s", error, exc_info=True)
                raise
    finally:
        _current_log.reset(context)
        for logger in loggers:
            logger.removeHandler(handler)
        if not any(isinstance(other, _RunHandler) for other in LOGGER.handlers):  # of another run
            logging.captureWarnings(capture=False)
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
        case Warned(text) | Judged(text):
            return text
