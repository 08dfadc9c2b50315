"""Network -> Program: export to ONNX, and run what came out at other sizes before anyone relies on it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from compiler.artifact import Program, Tensors
from compiler.backends.onnxruntime import OnnxRuntimeSession
from compiler.errors import CompileError
from compiler.export.exporters import ExportOptions, Rewriting, to_onnx
from compiler.export.program import NEWEST_IR_VERSION, ONNX_FILE, describe, portable, save_model

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["NEWEST_IR_VERSION", "ONNX_FILE", "ExportOptions", "describe", "export", "run_network", "save_model"]

SAME_SHAPE_TOLERANCE = 1e-2
"""In standard deviations: an export that baked a size in is wrong by far more than rounding."""


def export(
    network: nn.Module,
    example: Tensors,
    options: ExportOptions,
    folder: Path,
    rewriting: Rewriting = nullcontext,
) -> Program:
    """Export a network to one ONNX file and check that it was not frozen to its example.

    Args:
        network: In evaluation mode; returns a flat tuple.
        example: Inputs by name, [n, ...]; with a dynamic batch n must be above 1, or the exporter freezes it.
        options: How to export.
        folder: Where the file goes.
        rewriting: Entered around the tracing, so that function rewriters act.

    Raises:
        CompileError: The exporter fails, the file is above 2 GB, another opset came out than was asked for, or the
            Program gives something else than the network at another batch.
    """
    path = folder / ONNX_FILE
    program = save_model(portable(to_onnx(network, example, options, rewriting)), path)
    if program.opset != options.opset:
        raise CompileError(
            f"the exporter wrote opset {program.opset}, not {options.opset}",
            where=f"export.opset={options.opset}",
            why=f"the {options.exporter} exporter cannot express this network in the opset that was asked for",
            fix=f"use export.opset={program.opset}, or another export.exporter",
        )
    _check_other_sizes(network, program, example, options, rewriting)
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


def _check_other_sizes(
    network: nn.Module,
    program: Program,
    example: Tensors,
    options: ExportOptions,
    rewriting: Rewriting,
) -> None:
    """Run the Program on other data, and at other batches where they vary: exporters can freeze their example."""
    session = OnnxRuntimeSession(program.path, optimization="disabled")
    size = len(next(iter(example.values())))
    for batch in (1, size + 1) if options.dynamic_batch else (size,):
        tensors = {name: _other_data(example[name], batch) for name in options.inputs}
        with rewriting():
            expected = run_network(network, tensors, options.outputs)
        try:
            found = session.run(tensors)
        except Exception as error:  # ONNX Runtime has no base class for its own exceptions
            raise _frozen(options, size, batch, str(error).strip().splitlines()[0]) from error
        for name, reference in expected.items():
            if found[name].shape != reference.shape:
                raise _frozen(options, size, batch, f"{name} is {found[name].shape}, not {reference.shape}")
            difference = float(np.abs(found[name] - reference).max())
            deviation = float(reference.std()) or 1.0  # a single number has no deviation to measure in
            if not difference <= SAME_SHAPE_TOLERANCE * deviation:
                raise _frozen(options, size, batch, f"{name} differs by {difference:.3g} from the network's")


def _other_data(tensor: NDArray[Any], batch: int) -> NDArray[Any]:
    return np.resize(np.roll(tensor, 1, axis=-1), (batch, *tensor.shape[1:]))


def _frozen(options: ExportOptions, size: int, batch: int, why: str) -> CompileError:
    return CompileError(
        f"the Program is wrong for a batch of {batch}",
        where=f"export.exporter={options.exporter}",
        why=f"exported with a batch of {size}, then run with {batch}: {why}",
        fix="try the other exporter (export.exporter=torchscript or dynamo), or a static shape",
    )
