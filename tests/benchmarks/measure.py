"""What the benchmarks have in common: timing, and compiling as a user does."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnxruntime

from compiler.artifact import Tensors
from compiler.config import compose
from compiler.report import Report
from tests.conftest import CommandLine

WARM_UP = 2


def seconds_of(run: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Return how long a call took, by a clock."""
    start = clock()
    run()
    return clock() - start


def median_and_fastest(seconds: Sequence[float]) -> str:
    """Return both as text."""
    return f"{statistics.median(seconds):.2f} ({min(seconds):.2f})"


def seconds_in_onnxruntime(bundle: Path, tensors: Tensors, rounds: int) -> list[float]:
    """Return how long each of several runs of an engine took in bare ONNX Runtime, once it is warm.

    The session is closed again: its waiting threads would slow down what is timed next.
    """
    session = onnxruntime.InferenceSession(bundle / "end2end.onnx", providers=["CPUExecutionProvider"])
    return [seconds_of(lambda: session.run(None, dict(tensors))) for _ in range(WARM_UP + rounds)][WARM_UP:]


@dataclass(frozen=True)
class Compiled:
    """A compile, timed.

    Attributes:
        seconds: Of the whole command.
        bundle: What it wrote.
        report: What it found out.
    """

    seconds: float
    bundle: Path
    report: Report


def timed_compile(command_line: CommandLine, *overrides: str) -> Compiled:
    """Compile, and time the whole command.

    Raises:
        RuntimeError: There is no bundle; the message is what the command printed.
    """
    start = time.perf_counter()
    run = command_line(*overrides)
    seconds = time.perf_counter() - start
    if run.returncode not in (0, 3):
        raise RuntimeError(run.stdout + run.stderr)
    config = compose(overrides)
    bundle = command_line.folder / config.bundle
    return Compiled(seconds, bundle, Report.load(bundle))
