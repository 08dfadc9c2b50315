"""Network -> Program: export to ONNX, and run what came out at other sizes before anyone relies on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from compiler.artifact import Program, Tensors
from compiler.config.sizes import size_text
from compiler.errors import CompileError
from compiler.export.exporters import Axis, ExportOptions, Rewriting, to_onnx
from compiler.graphs import ONNX_FILE, OnnxRuntimeSession, portable, save_model

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = [
    "Axis",
    "Comparable",
    "ExportOptions",
    "as_they_are",
    "export",
    "run_network",
]

SAME_SHAPE_TOLERANCE = 1e-2
"""In standard deviations: an export that baked a size in is wrong by far more than rounding."""

Comparable = Callable[[Tensors, Tensors], Tensors]
"""Puts outputs (the first) into a form that can be compared with a reference (the second): `TaskProof.comparable`."""


def as_they_are(outputs: Tensors, like: Tensors) -> Tensors:
    """Return the outputs: most can be compared directly."""
    return outputs


def export(
    network: nn.Module,
    example: Tensors,
    others: Iterable[Tensors],
    options: ExportOptions,
    folder: Path,
    rewriting: Rewriting = nullcontext,
    comparable: Comparable = as_they_are,
) -> Program:
    """Export a network to one ONNX file and check that it was not frozen to its example.

    Args:
        network: In evaluation mode; returns a flat tuple.
        example: Inputs by name. A dimension that varies must be above 1 in it, or the exporter freezes it.
        others: Other inputs that the Program takes: other values, and other sizes where sizes vary.
        options: How to export.
        folder: Where the file goes.
        rewriting: Entered around the tracing, so that function rewriters act.
        comparable: Applied to outputs before they are compared.

    Raises:
        CompileError: The exporter fails, the file is above 2 GB, another opset came out than was asked for, or the
            Program gives something else than the network for other inputs.
    """
    path = folder / ONNX_FILE
    names = {input: {axis.position: axis.name for axis in axes} for input, axes in options.axes.items()}
    model = portable(to_onnx(network, example, options, rewriting), names)
    program = save_model(model, path)
    if program.opset != options.opset:
        raise CompileError(
            f"the exporter wrote opset {program.opset}, not {options.opset}",
            where=f"export.opset={options.opset}",
            why=f"the {options.exporter} exporter cannot express this network in the opset that was asked for",
            fix=f"use export.opset={program.opset}, or another export.exporter",
        )
    session = OnnxRuntimeSession.as_written(program.path)
    for tensors in others:
        with rewriting():
            expected = run_network(network, tensors, options.outputs)
        _check_not_frozen(session, tensors, expected, options, comparable)
    return program


def run_network(network: nn.Module, tensors: Tensors, outputs: Sequence[str]) -> Tensors:
    """Run a network on numpy arrays, in the order of its arguments, and name its outputs."""
    import torch

    with torch.no_grad():
        results: tuple[Tensor, ...] = network(*(torch.from_numpy(np.array(tensor)) for tensor in tensors.values()))
    if len(results) != len(outputs):
        raise CompileError(
            f"the network has {len(results)} outputs, not {len(outputs)}",
            where="model.processing",
            why=f"the task reads {', '.join(outputs)}",
            fix="use the task that belongs to this network's head",
        )
    return {name: result.numpy() for name, result in zip(outputs, results, strict=True)}


def _check_not_frozen(
    session: OnnxRuntimeSession,
    tensors: Tensors,
    expected: Tensors,
    options: ExportOptions,
    comparable: Comparable,
) -> None:
    """Run the Program on other inputs than it was exported with: exporters can freeze their example."""
    shape = size_text(next(iter(tensors.values())).shape)
    try:
        found = session.run(tensors)
    except CompileError as error:
        raise _frozen(options, shape, error.why) from error
    found, expected = comparable(found, expected), comparable(expected, expected)
    for name, reference in expected.items():
        if found[name].shape != reference.shape:
            raise _frozen(options, shape, f"{name} is {found[name].shape}, not {reference.shape}")
        difference = float(np.abs(found[name] - reference).max())
        deviation = float(reference.std()) or 1.0  # a single number has no deviation to measure in
        if not difference <= SAME_SHAPE_TOLERANCE * deviation:
            raise _frozen(options, shape, f"{name} differs by {difference:.3g} from the network's")


def _frozen(options: ExportOptions, shape: str, why: str) -> CompileError:
    return CompileError(
        f"the Program is wrong for an input of {shape}",
        where=f"export.exporter={options.exporter}",
        why=f"exported with other values, then run with this input: {why}",
        fix="try the other exporter (export.exporter=torchscript or dynamo), or a static shape",
    )
