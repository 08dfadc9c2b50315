"""What an engine's numbers and its speed are, beside ONNX Runtime's and PyTorch's."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from rich.table import Table

from compiler.artifact import Tensors

Run = Callable[[Tensors], Tensors]
WARM_UP = 3


@dataclass(frozen=True)
class Measurement:
    """One way to run a model, at one shape.

    Attributes:
        model: Its name.
        shape: Of its first input.
        runner: Who ran it.
        error: Largest absolute error against the reference, in standard deviations of the reference.
        milliseconds: Median of one run, copies to and from the GPU included.
    """

    model: str
    shape: str
    runner: str
    error: float
    milliseconds: float


def measure(
    model: str, inputs: Iterable[Tensors], reference: Run, runs: Mapping[str, Run], rounds: int
) -> list[Measurement]:
    """Run a model in several ways at several shapes, each against the reference."""
    found = []
    for tensors in inputs:
        expected = reference(tensors)
        shape = "x".join(map(str, next(iter(tensors.values())).shape))
        found += [
            Measurement(model, shape, name, relative_error(expected, run(tensors)), milliseconds(run, tensors, rounds))
            for name, run in runs.items()
        ]
    return found


def relative_error(expected: Tensors, found: Tensors) -> float:
    """Return the largest absolute error of any output, in standard deviations of what is expected of it.

    Raises:
        AssertionError: An output is missing, or has another shape.
    """
    assert found.keys() == expected.keys()
    errors = []
    for name, tensor in expected.items():
        assert found[name].shape == tensor.shape, name
        deviation = float(tensor.std()) or 1.0
        errors.append(float(np.abs(found[name].astype(np.float64) - tensor).max(initial=0.0)) / deviation)
    return max(errors)


def milliseconds(run: Run, tensors: Tensors, rounds: int) -> float:
    """Return the median time of a run, once it is warm."""
    times = []
    for _ in range(WARM_UP + rounds):
        start = time.perf_counter()
        run(tensors)
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times[WARM_UP:])


def measurement_table(title: str, measurements: Sequence[Measurement]) -> Table:
    """Lay measurements out for reading."""
    table = Table("model", "input", "run by", "error", "median ms", title=title, title_justify="left")
    for row in measurements:
        table.add_row(row.model, row.shape, row.runner, f"{row.error:.1e}", f"{row.milliseconds:.2f}")
    return table


@dataclass(frozen=True)
class Upsampling:
    """What becomes of a network's nearest upsampling.

    Attributes:
        model: Its name.
        mode: `nearest` as it is written, or `bilinear` as it is rewritten.
        engine: The engine against the Program that it was built from, in standard deviations.
        whole: The engine against the original network in PyTorch, in standard deviations.
    """

    model: str
    mode: str
    engine: float
    whole: float


def compare_upsampling(model: str, mode: str, tensors: Tensors, engine: Run, program: Run, original: Run) -> Upsampling:
    """Compare an engine with the Program that it was built from, and with the network behind it."""
    found = engine(tensors)
    return Upsampling(model, mode, relative_error(program(tensors), found), relative_error(original(tensors), found))


def upsampling_table(title: str, rows: Sequence[Upsampling]) -> Table:
    """Lay the comparison out for reading."""
    table = Table("model", "upsampling", "against its Program", "against PyTorch", title=title, title_justify="left")
    for row in rows:
        table.add_row(row.model, row.mode, f"{row.engine:.1e}", f"{row.whole:.1e}")
    return table
