"""The two exporters of PyTorch, behind one function."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from compiler.artifact import Tensors
from compiler.errors import CompileError

if TYPE_CHECKING:
    import onnx
    from torch import Tensor, nn

Rewriting = Callable[[], AbstractContextManager[object]]
"""The context in which function rewriters act."""


@dataclass(frozen=True)
class ExportOptions:
    """How to export.

    Attributes:
        exporter: `dynamo` or `torchscript`.
        opset: Of the default operator set.
        dynamic_batch: Whether the first dimension of every input and output varies.
        inputs: Names of the network's arguments, in order.
        outputs: Names of its results, in order.
    """

    exporter: str
    opset: int
    dynamic_batch: bool
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def to_onnx(network: nn.Module, example: Tensors, options: ExportOptions, rewriting: Rewriting) -> onnx.ModelProto:
    """Trace a network under its function rewriters, and translate it to ONNX.

    Raises:
        CompileError: The exporter fails.
    """
    import torch

    arguments = tuple(torch.from_numpy(np.ascontiguousarray(example[name])) for name in options.inputs)
    export = _by_dynamo if options.exporter == "dynamo" else _by_torchscript
    try:
        with _quiet():
            return export(network, arguments, options, rewriting)
    except Exception as error:  # the exporters have no common base class
        raise CompileError(
            "the network cannot be exported to ONNX",
            where=f"export.exporter={options.exporter}",
            why=_cause(error),
            fix="try the other exporter, write a rewriter for the operator that is named, or see --debug",
        ) from error


def _by_dynamo(
    network: nn.Module, arguments: tuple[Tensor, ...], options: ExportOptions, rewriting: Rewriting
) -> onnx.ModelProto:
    import torch

    batched = tuple({0: torch.export.Dim("batch")} for _ in arguments)
    with rewriting():
        traced = torch.export.export(
            network, arguments, dynamic_shapes=batched if options.dynamic_batch else None, strict=False
        )
    program = torch.onnx.export(
        traced,
        dynamo=True,
        verbose=False,
        opset_version=options.opset,
        input_names=options.inputs,
        output_names=options.outputs,
    )
    assert program is not None
    return program.model_proto


def _by_torchscript(
    network: nn.Module, arguments: tuple[Tensor, ...], options: ExportOptions, rewriting: Rewriting
) -> onnx.ModelProto:
    import onnx
    import torch

    content = io.BytesIO()
    names = (*options.inputs, *options.outputs) if options.dynamic_batch else ()
    with rewriting():
        torch.onnx.export(
            network,
            arguments,
            content,  # type: ignore[arg-type]
            dynamo=False,
            opset_version=options.opset,
            input_names=options.inputs,
            output_names=options.outputs,
            dynamic_axes={name: {0: "batch"} for name in names},
        )
    return onnx.load_from_string(content.getvalue())


def _cause(error: BaseException) -> str:
    """Return the first line of the innermost cause: exporters wrap what went wrong several times."""
    while error.__cause__ is not None:
        error = error.__cause__
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporters' own chatter away from the user: what matters is checked afterwards."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
