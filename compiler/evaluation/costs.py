"""What engines cost: their sizes and their latencies, as lines below what bundles reach."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from compiler.artifact import Engine
from compiler.evaluation.results import Column
from compiler.evaluation.subjects import REFERENCE
from compiler.profiling import Timing, profile
from compiler.runtime.opening import Opening

ITERATIONS, WARMUP = 100, 20
"""Runs of each engine, in turns with those of the others, and runs before them that do not count."""
MEGA, MILLI = 1e6, 1e3


def with_costs(
    columns: Sequence[Column], opening: Opening, progress: Callable[[str, int, int], None]
) -> tuple[Column, ...]:
    """Columns with the size of each engine and its median latency; the PyTorch network's are not told.

    Engines are timed after all results are there, in turns, each alone in a process of its own.

    Args:
        columns: Of an evaluation.
        opening: How the bundles are opened.
        progress: Told of every round.

    Raises:
        CompileError: An engine cannot be run by itself.
    """
    timed = [column for column in columns if column.name != REFERENCE]
    measured = profile(
        [column.bundle for column in timed],
        iterations=ITERATIONS,
        warmup=WARMUP,
        modules=opening.modules,
        engine_code=opening.engine_code,
        trust_changes=opening.trust_changes,
        limits=opening.limits,
        report=lambda one: progress(f"latency of {one.label}", len(one.timing.samples), ITERATIONS),
    )
    numbers = {
        column.name: {"size (MB)": _megabytes(column.bundle), **_latency(one.timings[0])}
        for column, one in zip(timed, measured.bundles, strict=True)
    }
    return tuple(replace(one, numbers={**one.numbers, **numbers.get(one.name, {})}) for one in columns)


def _megabytes(bundle: Path) -> float:
    size = Engine.load(bundle).size
    return float("nan") if size is None else size / MEGA


def _latency(timing: Timing) -> dict[str, float]:
    """The median, called by the input that it was measured at: one at another is no number of the same line."""
    return {f"latency at {timing.input.batch}x{timing.shape} (ms)": timing.statistics.median * MILLI}
