"""What a second backend of a model costs, which shares the first one's export."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.table import Table

from tests.benchmarks.measure import Compiled, timed_compile
from tests.conftest import CommandLine

PAIRS = (("onnxruntime", "openvino"), ("openvino", "onnxruntime"), ("torchscript", "coreml"))
"""Backends that read the same kind of Program, and have a detector's boxes selected at the same place."""
MODELS = ("rtmpose", "hrnet-w32", "litehrnet-18", "rtmdet-tiny")


def sharing_table(models: Sequence[str] = MODELS) -> Table:
    """Compile each model for a backend from nothing, and then for another with what the first one left."""
    title = "a second backend of one model, with the stages that the first has finished: whole commands"
    table = Table("model", "first", "second", title=title, title_justify="left")
    for header in ("first s", "second s", "ratio"):
        table.add_column(header, justify="right")
    table.add_column("the second's own stages")
    for name in models:
        table.add_section()
        for first, second in PAIRS:
            table.add_row(name, first, second, *_cells(name, first, second))
    return table


def _cells(name: str, *backends: str) -> Iterable[str]:
    with tempfile.TemporaryDirectory() as folder:
        command_line = CommandLine(Path(folder))
        first, second = (timed_compile(command_line, f"model={name}", f"backend={backend}") for backend in backends)
    ratio = second.seconds / first.seconds
    return f"{first.seconds:.1f}", f"{second.seconds:.1f}", f"{ratio:.2f}", _own_stages(second)


def _own_stages(compiled: Compiled) -> str:
    made = [stage for stage in compiled.report.stages if not stage.cached]
    return ", ".join(f"{stage.stage} {stage.seconds:.1f} s" for stage in made)
