"""What fp16 and int8 change: the numbers, the size and the speed of an engine, beside the same engine in fp32."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from compiler.artifact import Tensors
from compiler.graphs import BESIDE_OTHERS, OnnxRuntimeSession
from compiler.proof import Comparison, compare_arrays, proof_of
from compiler.runtime import read_config
from compiler.tasks import build_task
from tests.benchmarks.measure import seconds_of, timed_compile
from tests.conftest import CommandLine

# Of detectors, every candidate is compared: with random weights, which of them are selected is a lottery.
WHOLE = (
    "tail=host",
    "model.processing.test_cfg.nms_pre=0",
    "model.processing.test_cfg.score_thr=0",
    "model.processing.test_cfg.min_bbox_size=-1",
)
SUBJECTS = {
    "rtmpose": (),
    "litehrnet": (),
    "rtmdet-tiny": WHOLE,
    "dbnet": (),
}
AUTOMATIC = ("rtmpose", "rtmdet-tiny")
"""Those whose layers are not all quantised: `calibration.auto` chooses."""
WARM_UP, TURNS = 2, 20


def precision_table(console: Console | None = None) -> Table:
    """Compile models in three precisions and compare their engines; int8 is calibrated on the proof's photograph."""
    table = Table(
        title=f"ONNX Runtime on the CPU, static, batch 1; ms: the median of {TURNS} runs, the three engines in turns",
        title_justify="left",
    )
    for column in ("model", "precision", "in it", "kept in fp32"):
        table.add_column(column)
    for column in ("cosine", "worst σ", "MiB", "ms", "fp32 / this"):
        table.add_column(column, justify="right")
    for model, overrides in SUBJECTS.items():
        if console:
            console.print(f"[dim]{model} ...[/dim]")
        table.add_section()
        for row in _rows(model, overrides):
            table.add_row(*row)
    return table


def _rows(model: str, overrides: tuple[str, ...]) -> list[tuple[str, ...]]:
    with tempfile.TemporaryDirectory() as folder:
        command_line = CommandLine(Path(folder))
        common = (f"model={model}", "shape=static", *overrides)
        compiled = {
            "fp32": timed_compile(command_line, *common),
            "fp16": timed_compile(command_line, *common, "precision=fp16"),
            "int8": timed_compile(command_line, *common, "precision=int8", f"calibration.auto={model in AUTOMATIC}"),
        }
        tensors = _sample(compiled["fp32"].bundle)
        milliseconds = _milliseconds({name: one.bundle for name, one in compiled.items()}, tensors)
        expected = _outputs(compiled["fp32"].bundle, tensors)
        rows = []
        for name, one in compiled.items():
            compared = _compared(expected, _outputs(one.bundle, tensors))
            reduced = one.report.reduced
            rows.append(
                (
                    model,
                    name,
                    f"{reduced.changed} of {reduced.nodes} nodes" if reduced else "",
                    f"{len(reduced.excluded)}" if reduced else "",
                    f"{min(c.cosine_similarity for c in compared):.4f}",
                    f"{max(c.relative_error for c in compared):.2g}",
                    f"{(one.bundle / 'end2end.onnx').stat().st_size / 2**20:.1f}",
                    f"{milliseconds[name]:.1f}",
                    f"{milliseconds['fp32'] / milliseconds[name]:.2f}",
                )
            )
        return rows


def _compared(expected: Tensors, found: Tensors) -> list[Comparison]:
    return [compare_arrays(name, expected[name], found[name]) for name in expected]


def _outputs(bundle: Path, tensors: Tensors) -> Tensors:
    return OnnxRuntimeSession(bundle / "end2end.onnx").run(tensors)


def _milliseconds(bundles: dict[str, Path], tensors: Tensors) -> dict[str, float]:
    sessions = {
        name: OnnxRuntimeSession(bundle / "end2end.onnx", options=BESIDE_OTHERS) for name, bundle in bundles.items()
    }
    times: dict[str, list[float]] = {name: [] for name in sessions}
    for _ in range(WARM_UP + TURNS):
        for name, session in sessions.items():
            times[name].append(seconds_of(lambda session=session: session.run(tensors)))
    return {name: statistics.median(seconds[WARM_UP:]) * 1000 for name, seconds in times.items()}


def _sample(bundle: Path) -> Tensors:
    config = read_config(bundle)
    task, usual = build_task(config.model.processing), config.usual_input
    tensors: Tensors = proof_of(task).samples(task.read(task.sample_source()), usual.batch, usual.size).tensors
    return tensors
