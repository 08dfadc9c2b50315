"""Network -> OnnxProgram: one ONNX file, by either exporter of torch."""

from __future__ import annotations

import io
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from compiler.artifact import OnnxProgram, Tensors
from compiler.errors import CompileError
from compiler.export.frozen import check_not_frozen, expected_outputs, ties_of
from compiler.export.options import Comparable, ExportOptions, RewritingContext, as_they_are
from compiler.export.tracing import exported, exporting, traced_arguments
from compiler.graphs import AS_WRITTEN, ONNX_FILE, OnnxRuntimeSession, portable, run_until_selection, save_model

if TYPE_CHECKING:
    import onnx
    from torch import Tensor, nn


def export_onnx(
    network: nn.Module,
    example: Tensors,
    others: Iterable[Tensors],
    options: ExportOptions,
    folder: Path,
    rewriting: RewritingContext = nullcontext,
    comparable: Comparable = as_they_are,
) -> OnnxProgram:
    """Export a network to one ONNX file with its sidecar, and check that it was not frozen to its example.

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
    names = {argument: {axis.position: axis.name for axis in axes} for argument, axes in options.axes.items()}
    model = portable(to_onnx(network, example, options, rewriting), names)
    program = save_model(model, folder / ONNX_FILE)
    if program.opset != options.opset:
        raise CompileError(
            f"the exporter wrote opset {program.opset}, not {options.opset}",
            where=f"export.opset={options.opset}",
            why=f"the {options.exporter} exporter cannot express this network in the opset that was asked for",
            fix=f"use export.opset={program.opset}, or another export.exporter",
        )
    run = OnnxRuntimeSession.as_written(program.path).run

    def selects_from(tensors: Tensors) -> Tensors:
        thresholds = options.ties.thresholds if options.ties else ()
        return run_until_selection(program.path, thresholds, AS_WRITTEN)(tensors)

    pairs = expected_outputs(network, others, options, rewriting)
    check_not_frozen(run, pairs, options, comparable, ties_of(network, options, rewriting, selects_from))
    program.save()
    return program


def to_onnx(
    network: nn.Module, example: Tensors, options: ExportOptions, rewriting: RewritingContext
) -> onnx.ModelProto:
    """Trace a network under its function rewriters, and translate it to ONNX.

    Raises:
        CompileError: The exporter fails.
    """
    arguments = traced_arguments(example, options)
    export = _by_dynamo if options.exporter == "dynamo" else _by_torchscript
    with exporting("ONNX", options.exporter):
        return export(network, arguments, options, rewriting)


def _by_dynamo(
    network: nn.Module, arguments: tuple[Tensor, ...], options: ExportOptions, rewriting: RewritingContext
) -> onnx.ModelProto:
    from compiler.export.decomposition import LeanProgram
    from compiler.export.operators import with_constant_weights, with_onnx_nodes
    from compiler.export.translation import translated
    from compiler.selection.translations import TRANSLATIONS

    with rewriting():
        traced = exported(network, arguments, options)
    program = LeanProgram(with_onnx_nodes(traced))
    return with_constant_weights(translated(program, options, TRANSLATIONS).model_proto)


def _by_torchscript(
    network: nn.Module, arguments: tuple[Tensor, ...], options: ExportOptions, rewriting: RewritingContext
) -> onnx.ModelProto:
    import onnx
    import torch

    content = io.BytesIO()
    dynamic_axes = {name: {axis.position: axis.name for axis in axes} for name, axes in options.axes.items()}
    if all(0 in axes for axes in dynamic_axes.values()):
        (batch,) = {axes[0] for axes in dynamic_axes.values()}
        dynamic_axes |= {name: {0: batch} for name in options.outputs}
    with rewriting():
        torch.onnx.export(
            network,
            arguments,
            content,  # type: ignore[arg-type]
            dynamo=False,
            opset_version=options.opset,
            input_names=options.inputs,
            output_names=options.outputs,
            dynamic_axes=dynamic_axes,
        )
    return onnx.load_from_string(content.getvalue())
