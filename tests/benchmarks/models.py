"""Every model that MMDeploy's figures are known of, as a static and as a dynamic engine, beside those figures."""

from __future__ import annotations

import shutil
import statistics
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import onnx
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from compiler import runtime
from compiler.artifact import Tensors
from compiler.config import compose
from compiler.config.sizes import size_text
from compiler.proof import proof_of
from tests.benchmarks.measure import Compiled, seconds_in_onnxruntime, timed_compile
from tests.benchmarks.mmdeploy import MMDEPLOY
from tests.conftest import CommandLine
from tests.models_page import named_size

ROUNDS = 30
TURNS = 3


def models_table(names: Sequence[str] = (), console: Console | None = None) -> Table:
    """Compile models once each from nothing, and run their engines on the task's sample, at the size of the figures.

    Args:
        names: Which of those in `MMDEPLOY`; none for all.
        console: Where to tell what is being measured.
    """
    table = Table(
        title=f"cold compiles, and bare ONNX Runtime, the median of {ROUNDS} runs at the same size; "
        "M: MMDeploy 1.3.1, in a run of its own on a like machine",
        title_justify="left",
    )
    table.add_column("model")
    table.add_column("engine")
    headers = ("convert s", "M", "load, export, rewrite, build, compare, verify", "nodes", "M", "MiB", "ms", "M")
    for header in headers:
        table.add_column(header, justify="right")
    table.add_column("result")
    for name in names or MMDEPLOY:
        if console:
            console.print(f"[dim]{name} ...[/dim]")
        table.add_section()
        try:
            for row in _rows(name):
                table.add_row(*row)
        except RuntimeError as error:  # the other models are worth their rows
            table.add_row(name, f"[red]{escape(str(error).strip().splitlines()[-1])}[/red]")
    return table


def _rows(name: str) -> Iterable[Sequence[str]]:
    theirs = MMDEPLOY[name]
    with tempfile.TemporaryDirectory() as folder:
        compiled = {shape: _compile_cold(Path(folder) / shape, name, shape) for shape in _shapes(name)}
        milliseconds = _milliseconds([one.bundle for one in compiled.values()])
        for (shape, one), latency in zip(compiled.items(), milliseconds, strict=True):
            nodes = len(onnx.load(one.bundle / "end2end.onnx", load_external_data=False).graph.node)
            yield (
                name,
                f"{shape.partition('_')[0]} {_usual_size(one.bundle)}",
                f"{one.seconds:.1f}",
                f"{theirs.seconds:.1f}",
                ", ".join(f"{stage.seconds:.1f}" for stage in one.report.stages),
                f"{nodes}",
                f"{theirs.nodes}",
                f"{one.report.engine_bytes / 2**20:.1f}",
                f"{latency:.1f}",
                f"{theirs.milliseconds:.1f}",
                "not proven" if one.report.problem else "proven",
            )


def _shapes(name: str) -> tuple[str, str]:
    """Return a static and a dynamic shape with the size of MMDeploy's figures as the usual one.

    Where it is not the model's own it is the largest too: what is proven in the seconds is what the row names.
    """
    size = size_text(MMDEPLOY[name].size)
    if not size:
        return "static", "dynamic"
    smallest = size_text(compose([f"model={name}"]).model.smallest_shape)
    return f"static_{size}", f"dynamic_{smallest}-{size}"


def _compile_cold(folder: Path, name: str, shape: str) -> Compiled:
    folder.mkdir()
    compiled = timed_compile(CommandLine(folder), f"model={name}", f"shape={shape}")
    shutil.rmtree(folder / "outputs/.cache")
    return compiled


def _milliseconds(bundles: Sequence[Path]) -> list[float]:
    """Return the median of each engine, in turns, one session open at a time: two would slow each other down."""
    times: dict[Path, list[float]] = {bundle: [] for bundle in bundles}
    for _ in range(TURNS):
        for bundle, seconds in times.items():
            seconds.extend(seconds_in_onnxruntime(bundle, _sample(bundle), ROUNDS // TURNS))
    return [statistics.median(seconds) * 1000 for seconds in times.values()]


def _usual_size(bundle: Path) -> str:
    predictor = runtime.open(bundle)
    return named_size(predictor.task, predictor.sizes.usual)


def _sample(bundle: Path) -> Tensors:
    predictor = runtime.open(bundle)
    task = predictor.task
    tensors: Tensors = proof_of(task).samples(task.read(task.sample_source()), 1, predictor.sizes.usual).tensors
    return tensors
