"""What the benchmarks have in common: timing, and compiling as a user does."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from compiler.config import compose
from compiler.report import Report
from tests.conftest import CommandLine


def seconds_of(run: Callable[[], object]) -> float:
    """Return how long a call took."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def median_and_fastest(seconds: Sequence[float]) -> str:
    """Return both as text."""
    return f"{statistics.median(seconds):.2f} ({min(seconds):.2f})"


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
    bundle = command_line.folder / config.output / config.model.name / str(config.deploy_name)
    return Compiled(seconds, bundle, Report.load(bundle))
