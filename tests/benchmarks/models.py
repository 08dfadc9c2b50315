"""Every model that MMDeploy's figures are known of, as a static and as a dynamic engine, beside those figures."""

from __future__ import annotations

import shutil
import statistics
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import onnx
import onnxruntime
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from compiler import runtime
from compiler.artifact import Tensors
from compiler.config.sizes import size_text
from tests.benchmarks.measure import Compiled, seconds_of, timed_compile
from tests.benchmarks.mmdeploy import MMDEPLOY
from tests.conftest import CommandLine

SHAPES = ("static", "dynamic")
WARM_UP = 2
ROUNDS = 30
TURNS = 3


def models_table(names: Sequence[str] = (), console: Console | None = None) -> Table:
    """Compile models once each from nothing, and run their engines on a photograph at the model's own size.

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
    headers = ("convert s", "M", "load, export, rewrite, build, verify", "nodes", "M", "MiB", "ms", "M")
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
        compiled = {shape: _compile_cold(Path(folder) / shape, name, shape) for shape in SHAPES}
        milliseconds = _milliseconds([one.bundle for one in compiled.values()])
        for (shape, one), latency in zip(compiled.items(), milliseconds, strict=True):
            nodes = len(onnx.load(one.bundle / "end2end.onnx", load_external_data=False).graph.node)
            yield (
                name,
                f"{shape} {size_text(runtime.open(one.bundle).sizes.usual)}",
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


def _compile_cold(folder: Path, name: str, shape: str) -> Compiled:
    folder.mkdir()
    compiled = timed_compile(CommandLine(folder), f"model={name}", f"shape={shape}")
    shutil.rmtree(compiled.bundle.parents[1] / ".cache")
    return compiled


def _milliseconds(bundles: Sequence[Path]) -> list[float]:
    """Return the median of each engine, in turns, one session open at a time: two would slow each other down."""
    times: dict[Path, list[float]] = {bundle: [] for bundle in bundles}
    for _ in range(TURNS):
        for bundle, seconds in times.items():
            seconds.extend(_timed_runs(bundle, _photograph(bundle), ROUNDS // TURNS))
    return [statistics.median(seconds) * 1000 for seconds in times.values()]


def _timed_runs(bundle: Path, tensors: Tensors, rounds: int) -> list[float]:
    session = onnxruntime.InferenceSession(bundle / "end2end.onnx", providers=["CPUExecutionProvider"])
    return [seconds_of(lambda: session.run(None, dict(tensors))) for _ in range(WARM_UP + rounds)][WARM_UP:]


def _photograph(bundle: Path) -> Tensors:
    predictor = runtime.open(bundle)
    image = cv2.imread(str(predictor.task.sample_source()))
    tensors: Tensors = predictor.task.samples(image, None, 1, predictor.sizes.usual).tensors
    return tensors
