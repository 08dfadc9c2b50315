"""A graph, run for what it selects from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from compiler.artifact import Tensors
from compiler.graphs.runtime import OnnxRuntimeSession, RuntimeOptions
from compiler.graphs.selection import before_selection, with_open_selection


def run_until_selection(
    path: Path, thresholds: Sequence[float], options: RuntimeOptions
) -> Callable[[Tensors], Tensors]:
    """A way to run an ONNX file for all that it computes before it selects, whatever that scores."""
    import onnx

    model = onnx.load(path)
    model = with_open_selection(model, thresholds) or model
    return OnnxRuntimeSession(model, before_selection(model), options).run
