"""Cold compiles here and in another checkout, in turns: `python -m tests.benchmarks.commits <checkout> [model ...]`."""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.conftest import REPOSITORY
from tests.matrix.grid import MODELS, SHAPES, Model


@dataclass(frozen=True)
class Cost:
    """What one compile took.

    Attributes:
        processor: Seconds of all cores together.
        wall: Seconds until it ended.
        peak: MiB of memory.
    """

    processor: float
    wall: float
    peak: int


def compiled(checkout: Path, model: Model, shape: str) -> Cost:
    """A compile for ONNX Runtime from nothing, its proof included, in a process of its own.

    Raises:
        subprocess.CalledProcessError: It is not proven.
    """
    words = [f"model={model.variant}", f"shape={model.shapes[shape]}", "backend=onnxruntime"]
    command = [sys.executable, "-m", "compiler", *words]
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("w") as log:
        start = time.perf_counter()
        environment = {**os.environ, "PYTHONPATH": str(checkout)}
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - start
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Cost(_processor(usage), wall, usage.ru_maxrss >> 10)


def rows(other: Path, shape: str, families: Sequence[str]) -> Iterator[tuple[Model, Cost, Cost]]:
    """Yield each model, with what it costs there and here."""
    for model in MODELS:
        if not families or model.family in families:
            yield model, compiled(other, model, shape), compiled(REPOSITORY, model, shape)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser("python -m tests.benchmarks.commits", description=__doc__)
    parser.add_argument("checkout", type=Path, help="the other one, on any commit")
    parser.add_argument("family", nargs="*", help="of the matrix; all of them unless given")
    parser.add_argument("--shape", choices=SHAPES, default="static")
    given = parser.parse_args()
    table = Table("model", "engine", "processor, s", "here", "ratio", "wall, s", "here", "peak, MiB", "here")
    for model, there, here in rows(given.checkout.resolve(), given.shape, given.family):
        ratio = here.processor / there.processor
        seconds = (f"{value:.1f}" for value in (there.processor, here.processor))
        walls = (f"{value:.1f}" for value in (there.wall, here.wall))
        table.add_row(
            model.variant, model.shapes[given.shape], *seconds, f"{ratio:.2f}", *walls, str(there.peak), str(here.peak)
        )
    Console(width=150).print(table)


def _processor(usage: resource.struct_rusage) -> float:
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
