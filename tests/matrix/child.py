"""Cells in processes of their own, with a limit of time and of memory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.conftest import REPOSITORY
from tests.matrix.grid import Cell
from tests.matrix.results import NONE, Attempt, Result

PYTHON_OF_RKNN = Path(sys.prefix) / "cache/deploy-compiler/environments/rknn/bin/python"
"""Of the environment that `make test` makes."""
PATIENCE = 10
"""A machine that does much else takes longer for the same."""


@dataclass(frozen=True)
class Limits:
    """What a cell may take.

    Attributes:
        seconds: Of a processor, in each of its processes; and `PATIENCE` times as many in all.
        memory: GiB of address space.
    """

    seconds: float = 300
    memory: float = 24


def run_cell(cell: Cell, folder: Path, limits: Limits) -> Result:
    """Compile and time a cell; see `compile_cell`."""
    start = time.perf_counter()
    attempt = compile_cell(cell, folder, limits, bundle_folder(cell.reference, folder))
    return Result(cell, attempt, time.perf_counter() - start)


def compile_cell(
    cell: Cell, folder: Path, limits: Limits, reference: Path | None = None, more: Sequence[str] = ()
) -> Attempt:
    """Compile a cell.

    Args:
        cell: Which.
        folder: Holds the bundles and the stages of all cells.
        limits: What it may take.
        reference: The bundle that it is timed beside; None to time nothing.
        more: Overrides beside the cell's own.
    """
    arguments = (bundle_folder(cell, folder), folder / "cache", reference or "")
    with TemporaryDirectory() as temporary:
        answer = Path(temporary) / "attempt.json"
        module = (sys.executable, "-m", "tests.matrix.attempt")
        ended = run_limited(
            (*module, *map(str, (limits.memory, limits.seconds, *arguments, answer)), *cell.overrides, *more),
            limits.seconds * PATIENCE,
        )
        if not answer.is_file():
            return Attempt(NONE, reason=ended)
        attempt = Attempt(**json.loads(answer.read_text("utf-8")))
        return replace(attempt, reason=attempt.reason or (ended and f"not timed: {ended}"))


def bundle_folder(cell: Cell, folder: Path) -> Path:
    """Where the bundle of a cell goes."""
    return folder / "-".join((cell.family, cell.backend, cell.precision, cell.shape))


def run_limited(command: Sequence[str], seconds: float) -> str:
    """Run a command, and end it with all that it started where it takes too long.

    Returns:
        How it ended, in words; empty where it ended well.
    """
    process = subprocess.Popen(
        command,
        cwd=REPOSITORY,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        _, said = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        return f"it took longer than {seconds:g} s"
    finally:
        with suppress(ProcessLookupError):  # it may have ended by itself
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.returncode == -signal.SIGXCPU:
        return "it took more of the processor's time than it may"
    if process.returncode < 0:
        return f"its process was ended by {signal.Signals(-process.returncode).name}"
    if not process.returncode:
        return ""
    last = next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "")
    return f"exit status {process.returncode}: {last}"


def environment() -> dict[str, str]:
    """The variables of a cell's process: those of this one, and where RKNN's toolkit is."""
    rknn = {"DEPLOY_COMPILER_RKNN_PYTHON": str(PYTHON_OF_RKNN)} if PYTHON_OF_RKNN.is_file() else {}
    return {**rknn, **os.environ}
